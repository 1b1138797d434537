"""Lines for people, shown live and kept in the report. Always granted. `print` writes to `info`."""

from ._host import load, number, well_formed

_wit = load("log")


def debug(message: str) -> None:
    """For the author of the step; shown with `-v`."""
    _wit.debug(well_formed(message))


def info(message: str) -> None:
    """What the step is doing."""
    _wit.info(well_formed(message))


def warn(message: str) -> None:
    """Something to look at that does not stop the step."""
    _wit.warn(well_formed(message))


def error(message: str) -> None:
    """Something failed. Only where it is not also the error that is raised."""
    _wit.error(well_formed(message))


def progress(done: int, total: int, what: str) -> None:
    """Moves the progress bar. `total` 0: not known. `what` is the unit in the plural: "rows"."""
    _wit.progress(number("done", done), number("total", total), well_formed(what))
