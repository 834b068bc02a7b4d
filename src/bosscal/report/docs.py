"""The pages of ``docs/`` that a report refers to, as pages of it: equations as MathML, links from page to page.

So who reads a report offline has what its words refer to, of the version that wrote it. Figures are left out, for they
are larger than all else; their alternative texts stand in their places. Links to what is no such page are plain text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

# What the report's own pages refer to, and what these do.
NAMES = ("calibration", "noise", "coadd", "repeats", "simulation")
_LINK = re.compile(r"docs/(\w+)\.md(?:#([\w-]+))?")


@dataclass(frozen=True)
class Document:
    """A page of the documentation: its ``title``, what is below it as ``html``, and its ``headings`` by anchor."""

    title: str
    html: str
    headings: Mapping[str, str]


def paths_of(folder: Path) -> list[Path]:
    """The files of a folder of documentation that are shown, as far as they are there."""
    return [path for path in (folder / f"{name}.md" for name in NAMES) if path.is_file()]


def read_documents(folder: Path) -> dict[str, Document]:
    """The pages by name; none where the folder is not there."""
    paths = paths_of(folder)
    names = {path.stem for path in paths}
    return {path.stem: document_of(path.read_text(encoding="utf-8"), names) for path in paths}


def anchor(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def documented(words: str, documents: Mapping[str, Document], root: str) -> str:
    """Words as HTML, in which each page of ``docs/``, with ``#section`` or without, is a link if it is shown.

    Parameters
    ----------
    words : str
    documents : mapping
        The pages that there are, by name.
    root : str
        From the page with these words to the folder of pages.
    """

    def link(found: re.Match[str]) -> str:
        name, section = found.groups()
        document = documents.get(name)
        if document is None:
            return f"docs/{name}.md"
        if section in document.headings:
            return f'<a href="{root}docs/{name}.html#{section}">{name}, {escape(document.headings[section])}</a>'
        return f'<a href="{root}docs/{name}.html">docs/{name}.md</a>'

    return _LINK.sub(link, escape(words))


def document_of(text: str, names: set[str]) -> Document:
    """A page from its Markdown; links lead to those of ``names``, and to other servers."""
    parser = _parser()
    tokens = parser.parse(re.sub(r"<!--.*?-->\n*", "", text, flags=re.DOTALL))
    headings = {
        str(token.attrGet("id")): _words(content) for token, content in pairwise(tokens) if token.type == "heading_open"
    }
    if tokens and tokens[0].type == "heading_open":  # of the page itself, which the template shows
        tokens = tokens[3:]
    for token in tokens:
        if token.children:
            token.children = _linked(token.children, names)
    title = next(iter(headings.values()), "")
    return Document(title, parser.renderer.render(tokens, parser.options, {}), headings)


def _words(token: Token) -> str:
    return "".join(child.content for child in token.children or ())


def _linked(tokens: Sequence[Token], names: set[str]) -> list[Token]:
    """Words of a paragraph, with the links that lead somewhere from where the report lies."""
    kept, open_links = [], []
    for token in tokens:
        if token.type == "link_open":
            target = str(token.attrGet("href"))
            page, _, section = target.partition("#")
            of_docs = page.endswith(".md") and page.removesuffix(".md") in names
            open_links.append(of_docs or not page or target.startswith("https://"))
            if of_docs:
                token.attrSet("href", f"{page.removesuffix('.md')}.html{'#' if section else ''}{section}")
        if token.type not in ("link_open", "link_close") or open_links[-1]:
            kept.append(token)
        if token.type == "link_close":
            open_links.pop()
    return kept


def _parser() -> MarkdownIt:
    """Markdown as GitHub has it: tables, anchors of headings, and mathematics between dollars."""
    from markdown_it import MarkdownIt
    from mdit_py_plugins.anchors import anchors_plugin
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.use(anchors_plugin, max_level=4, slug_func=anchor)
    parser.use(dollarmath_plugin, allow_space=False, renderer=_mathml)
    # What is wider than a phone scrolls by itself, by keyboard too.
    scroll = '<div class="scroll" tabindex="0" role="group" aria-label="{}">'
    parser.add_render_rule("table_open", lambda *_: f"{scroll.format('Table')}<table>\n")
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    parser.add_render_rule("fence", _code)
    parser.add_render_rule("code_block", _code)
    parser.add_render_rule("image", _image)
    return parser


def _code(_: Any, tokens: Sequence[Token], place: int, *__: Any) -> str:
    return f'<pre tabindex="0">{escape(tokens[place].content)}</pre>\n'


def _image(_: Any, tokens: Sequence[Token], place: int, *__: Any) -> str:
    return f'<span class="quiet">Figure, left out here: {escape(tokens[place].content)}.</span>'


def _mathml(formula: str, options: Mapping[str, Any]) -> str:
    from latex2mathml.converter import convert

    display = options["display_mode"]
    formula = formula.strip().replace(r"\AA", "Å")  # which the converter does not know
    math = convert(formula, display="block" if display else "inline")
    return f'<div class="scroll" tabindex="0" role="group" aria-label="Equation">{math}</div>' if display else math
