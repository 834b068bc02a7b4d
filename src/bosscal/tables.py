"""Tables with units and descriptions, and how they are written."""

from astropy.table import MaskedColumn, Table

from bosscal.files import replacing

# name: (unit, description) of the columns that say what a row of any table is about
IDENTITY = {
    "plate": ("", "plate number"),
    "mjd": ("", "night of the observation (MJD)"),
    "fiber": ("", "fiber number, 1-1000"),
    "camera": ("", "camera: b1, b2, r1 or r2"),
    "expnum": ("", "exposure number"),
    "objtype": ("", "OBJTYPE of the plug map"),
    "simulated": ("", "whether the data are simulated"),
}


def build_table(values, columns):
    """A table of columns in the order of their definitions.

    Parameters
    ----------
    values : mapping
        Values of every column by name.
    columns : mapping
        (unit, description) of every column by name; an empty unit is none.
    """
    table = Table(masked=True)
    for name, (unit, description) in columns.items():
        table[name] = MaskedColumn(values[name], unit=unit or None, description=description)
    return table


def write_table(path, table):
    """Write an astropy table as ECSV: text with units, descriptions and masked values."""
    with replacing(path) as temporary:
        table.write(temporary, format="ascii.ecsv", overwrite=True)
