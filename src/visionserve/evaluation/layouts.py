"""Where the class of a picture is written: in its folder's name, or in a CSV beside it."""

from __future__ import annotations

import csv
import io
import os
import stat
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from visionserve.evaluation.errors import LabelledPicturesError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff"})

_LAYOUTS = "give a folder with one subfolder of pictures per class, or one with a CSV of picture names and classes"
_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
# The headers of the usual data sets' CSV files, in lower case.
_NAMES = frozenset(
    {"name", "filename", "file_name", "file", "image", "image_name", "image_id", "img", "path", "filepath", "id"}
)
_CLASSES = frozenset({"label", "labels", "class", "class_name", "classname", "category", "target", "label_name"})


def read(source: Path) -> list[tuple[Path, str]]:
    """The pictures of a folder or CSV, and the name of each one's class; at least one.

    Raises:
        LabelledPicturesError: There are none, or where their classes are written is not to be seen.
    """
    if source.is_file() and source.suffix.lower() == ".csv":
        return _from_csv(source)
    if not source.is_dir():
        raise LabelledPicturesError(f"{source} is no folder and no CSV: {_LAYOUTS}")
    tables = sorted(path for path in source.glob("*.[cC][sS][vV]") if path.is_file())
    if len(tables) > 1:
        raise LabelledPicturesError(
            f"{source} holds {len(tables)} CSV files: name the one to take, such as {tables[0]}"
        )
    return _from_csv(tables[0]) if tables else _from_folders(source)


def pictures_in(folder: Path) -> list[Path]:
    """The picture files below a folder, by their suffix, in the order of their paths.

    A pipe or a device is none: to read it would wait for whoever writes to it.
    """
    found = []
    for here, folders, files in os.walk(folder):
        folders[:] = _shown(folders)  # os.walk goes into what is left
        found += [Path(here) / file for file in _shown(files) if Path(file).suffix.lower() in SUFFIXES]
    return sorted(path for path in found if _may_be_read(path))


def _may_be_read(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:  # a link to nowhere: who reads it says so
        return True


def _shown(names: Iterable[str]) -> list[str]:
    """Without what tools leave behind: `.ipynb_checkpoints`, `__MACOSX`, `._photo.jpg`."""
    return [name for name in names if not name.startswith((".", "__"))]


def _from_folders(source: Path) -> list[tuple[Path, str]]:
    names = sorted(_shown(entry.name for entry in source.iterdir() if entry.is_dir()))
    if names and all(name.lower() in _SPLITS for name in names):
        raise LabelledPicturesError(
            f"{source} holds {' and '.join(names)}, which are parts of a data set: name one, such as"
            f" {source / names[-1]}"
        )
    found = [(path, name) for name in names for path in pictures_in(source / name)]
    if not found:
        raise LabelledPicturesError(f"{source} holds no pictures in subfolders: {_LAYOUTS}")
    return found


def _from_csv(table: Path) -> list[tuple[Path, str]]:
    rows = _rows(table)
    below = pictures_in(table.parent)
    by_name: dict[str, list[Path]] = defaultdict(list)
    for path in below:
        for key in {path.name, path.stem}:
            by_name[key].append(path)
    name_at, class_at, headed = _columns(table, rows[0][1], by_name)
    found = [
        (_file(table, by_name, row[name_at].strip(), line), row[class_at].strip())
        for line, row in rows[headed:]
        if _complete(table, row, (name_at, class_at), line)
    ]
    if not found:
        raise LabelledPicturesError(f"{table} has a header and no rows")
    return found


def _rows(table: Path) -> list[tuple[int, list[str]]]:
    """The rows that hold something, each with the number of its last line as an editor shows it."""
    try:
        text = table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise LabelledPicturesError(f"{table} is no text in UTF-8; save it as UTF-8") from error
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text[:65536], delimiters=",;\t")
    except csv.Error:  # a lone column, or nothing regular: read as plain commas, it says itself what is wrong
        dialect = csv.excel
    try:
        reader = csv.reader(io.StringIO(text, newline=""), dialect)
        rows = [(reader.line_num, row) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise LabelledPicturesError(f"{table} is no CSV: {error}") from error
    if not rows:
        raise LabelledPicturesError(f"{table} is empty")
    return rows


def _columns(table: Path, first: Sequence[str], by_name: Mapping[str, Sequence[Path]]) -> tuple[int, int, int]:
    """The column of the pictures' names, that of their classes, and how many rows are a header."""
    header = [cell.strip().lower() for cell in first]
    name_at = next((i for i, cell in enumerate(header) if cell in _NAMES), None)
    class_at = next((i for i, cell in enumerate(header) if cell in _CLASSES), None)
    if name_at is not None and class_at is not None:
        return name_at, class_at, 1
    if len(first) != 2:
        raise LabelledPicturesError(
            f"{table} has {len(first)} columns, '{', '.join(first)}': name those of the pictures and their classes"
            " 'name' and 'label'"
        )
    named = first[0].strip()
    if (table.parent / named).is_file() or named in by_name or Path(named).suffix.lower() in SUFFIXES:
        return 0, 1, 0
    if name_at is None:
        name_at = 0 if class_at is None else 1 - class_at
    return name_at, 1 - name_at, 1


def _complete(table: Path, row: Sequence[str], columns: tuple[int, int], line: int) -> bool:
    if len(row) <= max(columns) or not all(row[at].strip() for at in columns):
        raise LabelledPicturesError(f"{table}, line {line}: '{','.join(row)}' lacks a name or a class")
    return True


def _file(table: Path, by_name: Mapping[str, Sequence[Path]], name: str, line: int) -> Path:
    """The file that a row names: by its path from the CSV, else by its name anywhere below that, suffix or not."""
    path = table.parent / name
    if path.is_file():
        return path
    found = by_name.get(Path(name).name, [])
    if len(found) == 1:
        return found[0]
    if found:
        raise LabelledPicturesError(f"{table}, line {line}: '{name}' may be {found[0]} or {found[1]}")
    raise LabelledPicturesError(f"{table}, line {line}: there is no picture '{name}' in {table.parent}")
