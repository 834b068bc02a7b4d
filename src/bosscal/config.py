"""Checking the configuration before anything runs, with one line for every mistake."""

import difflib

import jsonschema

from bosscal.errors import UserError


def _where(path):
    """A key as the user would write it: targets[0].fibers."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _closest(word, known):
    near = difflib.get_close_matches(str(word), known, n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _right(schema):
    """What a schema wants, in words."""
    return schema.get("description") or ("one of " + ", ".join(schema["enum"]) if "enum" in schema else "")


def _complaints(error):
    """The lines for one schema error."""
    where = _where(error.absolute_path) or "config"
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        for key in sorted(set(error.instance) - set(known), key=str):
            name = _where([*error.absolute_path, str(key)])
            yield f"{name}: unknown key{_closest(key, known)} (known here: {', '.join(known)})"
        return
    if error.validator == "required":
        for key in error.validator_value:
            if key not in error.instance:
                wanted = _right(error.schema["properties"][key])
                yield f"{_where([*error.absolute_path, key])}: missing; give {wanted}"
        return
    if error.validator == "oneOf" and isinstance(error.instance, list):
        # The list alternative is meant: report its own mistakes rather than "not one of".
        inner = [child for child in error.context if child.validator != "const"]
        if inner:
            bad = next((child for child in inner if child.absolute_path != error.absolute_path), inner[0])
            yield f"{_where(bad.absolute_path)}: {bad.instance!r} is not allowed; give {_right(error.schema)}"
            return
    value = "nothing" if error.instance is None else repr(error.instance)
    schema = error.schema
    if not _right(schema):  # an item of a list: the list says what is wanted
        yield f"{where}: {value} is not allowed ({error.message})"
        return
    yield f"{where}: {value} is not allowed; give {_right(schema)}"


def _with_defaults(instance, schema):
    """A copy of ``instance`` with the schema's defaults filled in."""
    if isinstance(instance, dict) and "properties" in schema:
        filled = dict(instance)
        for key, inner in schema["properties"].items():
            if key not in filled and "default" in inner:
                filled[key] = inner["default"]
            if key in filled:
                filled[key] = _with_defaults(filled[key], inner)
        return filled
    if isinstance(instance, list) and "items" in schema:
        return [_with_defaults(item, schema["items"]) for item in instance]
    return instance


def check_config(config, schema, releases, mask_bits):
    """Validate a configuration and fill in its defaults.

    Parameters
    ----------
    config : dict
        As read from ``config.yaml``.
    schema : dict
        ``workflow/schemas/config.schema.yaml``.
    releases : dict
        ``workflow/releases.yaml``.
    mask_bits : collection of str
        Known names of SPPIXMASK bits.

    Returns
    -------
    dict
        The configuration with every key present.

    Raises
    ------
    UserError
        With one line for each mistake, naming the key and what would be right.
    """
    config = {key: value for key, value in config.items() if value is not None}  # an empty key is one left out
    errors = jsonschema.Draft202012Validator(schema).iter_errors(config)
    errors = sorted(errors, key=lambda error: list(map(str, error.absolute_path)))
    lines = [line for error in errors for line in _complaints(error)]
    release = config.get("release")
    if isinstance(release, str) and release not in releases:
        lines.append(f"release: '{release}' is not known{_closest(release, releases)} (known: {', '.join(releases)})")
    allowed = config.get("mask_allow")
    for name in allowed if isinstance(allowed, list) else ():
        if isinstance(name, str) and name not in mask_bits:
            lines.append(
                f"mask_allow: '{name}' is no SPPIXMASK bit{_closest(name, mask_bits)} (known: {', '.join(mask_bits)})"
            )
    if lines:
        raise UserError("\n".join(lines))
    return _with_defaults(config, schema)
