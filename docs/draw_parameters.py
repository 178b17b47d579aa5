"""Draw the parameter interface of our digital assets from their dialog scripts, as Houdini lays them out.

    python docs/draw_parameters.py        writes docs/pictures/lim_NAME.png

Each picture carries the sha256 of the script it was drawn from; a test holds it to the script as it is now.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from lim_houdini.hda.interface import Default, Entry, Folder, Interface, Parm, read_interface
from lim_houdini.hda.library import Operator, find_libraries, read_library

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
WIDTH, ROW, LABEL, EDGE, SCALE = 580, 26, 150, 12, 2
PANE, FIELD, LINE, TEXT, DIM, ACCENT = "#3a3a3a", "#262626", "#1c1c1c", "#d6d6d6", "#8f8f8f", "#c8801e"


def main() -> None:
    """Draw them all."""
    PICTURES.mkdir(exist_ok=True)
    for operator in operators():
        path = picture(operator)
        draw(operator).save(path, pnginfo=signed(operator))
        print(path.relative_to(ROOT))


def operators() -> Iterator[Operator]:
    """Ours."""
    for library in find_libraries(ROOT / "houdini_otls"):
        yield from read_library(library).operators


def picture(operator: Operator) -> Path:
    """Where an operator's picture is."""
    return PICTURES / f"{operator.type_name.split('::')[0]}_{operator.type_name.split('::')[1]}.png"


def script_digest(operator: Operator) -> str:
    """What a picture is signed with."""
    return hashlib.sha256(operator.text("DialogScript").encode()).hexdigest()


def signed(operator: Operator) -> PngInfo:
    """For the picture's file."""
    info = PngInfo()
    info.add_text("DialogScript", script_digest(operator))
    return info


def draw(operator: Operator) -> Image.Image:
    """All tabs of an operator, one pane below the other."""
    interface = read_interface(operator.text("DialogScript"))
    tabs = [entry for entry in interface.root.children if isinstance(entry, Folder)]
    panes = [(tabs, tab, tab.children) for tab in tabs] or [(tabs, None, interface.root.children)]
    drawn = [Pane(interface, tabs, tab, entries).image for tabs, tab, entries in panes]
    whole = Image.new("RGB", (WIDTH * SCALE, sum(image.height + EDGE * SCALE for image in drawn)), "white")
    top = 0
    for image in drawn:
        whole.paste(image, (0, top))
        top += image.height + EDGE * SCALE
    return whole.crop((0, 0, whole.width, top - EDGE * SCALE))


class Pane:
    """One pane with one of its tabs open."""

    def __init__(self, interface: Interface, tabs: Sequence[Folder], tab: Folder | None, entries: Sequence[Entry]):
        shown = [parm for parm in entries if isinstance(parm, Parm) and "invisible" not in parm.flags]
        self.values = {parm.name: token(parm) for parm in interface.parms()}
        rows = list(in_rows([parm for parm in shown if not self.hidden(parm)]))
        height = EDGE * 2 + ROW * (1 + bool(tabs)) + sum(9 if row[0].type == "separator" else ROW for row in rows)
        self.image = Image.new("RGB", (WIDTH * SCALE, height * SCALE), PANE)
        self.pen = ImageDraw.Draw(self.image)
        self.text(EDGE, EDGE, f"{interface.label}   {interface.name}", TEXT, 14)
        top = EDGE + ROW
        if tabs:
            self.tabs(top, tabs, tab)
            top += ROW
        for row in rows:
            if row[0].type == "separator":
                self.box(EDGE, top + 3, WIDTH - 2 * EDGE, 1, LINE)
                top += 9
            else:
                self.row(top, row)
                top += ROW

    def hidden(self, parm: Parm) -> bool:
        """Does its condition, with everything at its default, hide it?"""
        return self.applies(parm.conditions.get("hidewhen", ""))

    def applies(self, text: str) -> bool:
        """A condition of several: one pair of braces suffices, within which all must hold."""
        parts = [part.split() for part in text.replace("}", "").split("{") if part.strip()]
        return any(all(self.holds(*part[i : i + 3]) for i in range(0, len(part), 3)) for part in parts)

    def holds(self, name: str, relation: str, wanted: str) -> bool:
        """`keymode != list`."""
        return (self.values.get(name) == wanted.strip('"')) == (relation == "==")

    def tabs(self, top: int, tabs: Sequence[Folder], tab: Folder | None) -> None:
        """The row of tabs."""
        left = EDGE
        for each in tabs:
            width = int(self.length(each.label)) + 22
            self.box(left, top, width, ROW - 4, "#4a4a4a" if each is tab else "#303030")
            self.text(left + 11, top + 3, each.label, TEXT if each is tab else DIM)
            left += width + 2
        self.box(EDGE, top + ROW - 4, WIDTH - 2 * EDGE, 1, "#4a4a4a")

    def row(self, top: int, row: Sequence[Parm]) -> None:
        """Parameters that share a line."""
        if row[0].type == "button":
            left = EDGE + LABEL
            for parm in row:
                width = int(self.length(parm.label)) + 16
                self.box(left, top + 2, width, ROW - 5, "#505050")
                self.text(left + 8, top + 5, parm.label)
                left += width + 4
            return
        (parm,) = row
        left, width = EDGE + LABEL, WIDTH - 2 * EDGE - LABEL
        if parm.type == "toggle":
            self.box(left, top + 5, 14, 14, FIELD)
            if token(parm) == "1":
                self.box(left + 3, top + 8, 8, 8, ACCENT)
            self.text(left + 22, top + 5, parm.label)
            return
        color = DIM if self.applies(parm.conditions.get("disablewhen", "")) else TEXT
        self.text(left - 8 - int(self.length(parm.label)), top + 5, parm.label, color)
        shown = [value(parm, default) for default in parm.defaults]
        part = (width - 4 * (len(shown) - 1)) // max(len(shown), 1)
        slider = bool(parm.range) and len(shown) == 1
        for i, text in enumerate(shown):
            self.box(left + i * (part + 4), top + 2, part if not slider else 70, ROW - 5, FIELD)
            self.text(left + i * (part + 4) + 6, top + 5, text, color)
        if slider:
            self.box(left + 80, top + 12, width - 80, 2, LINE)
            self.box(left + 80 + int((width - 88) * place(parm)), top + 6, 8, 14, "#707070")
        if parm.menu or parm.menu_script:
            self.text(left + width - 16, top + 5, "▾", DIM)

    def box(self, left: int, top: int, width: int, height: int, color: str) -> None:
        """A filled rectangle."""
        s = SCALE
        self.pen.rectangle((left * s, top * s, (left + width) * s - 1, (top + height) * s - 1), fill=color)

    def text(self, left: int, top: int, text: str, color: str = TEXT, size: int = 12) -> None:
        """A line of text."""
        if text == "▾":
            points = [(left, top + 4), (left + 8, top + 4), (left + 4, top + 9)]
            self.pen.polygon([(x * SCALE, y * SCALE) for x, y in points], fill=color)
            return
        self.pen.text((left * SCALE, top * SCALE), text, fill=color, font=font(size))

    def length(self, text: str) -> float:
        """Its width."""
        return self.pen.textlength(text, font=font(12)) / SCALE


def font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """At the picture's scale."""
    return ImageFont.load_default(size * SCALE)


def token(parm: Parm) -> str:
    """The default as conditions see it."""
    return parm.defaults[0].text if parm.defaults else ""


def value(parm: Parm, default: Default) -> str:
    """The default as a field shows it: a menu's label, else the text."""
    labels = dict(parm.menu)
    return labels.get(default.text, default.text)


def place(parm: Parm) -> float:
    """Where the slider stands, 0 to 1."""
    low, high = (float(end.rstrip("!")) for end in parm.range.split())
    try:
        return min(max((float(token(parm)) - low) / (high - low), 0.0), 1.0)
    except ValueError:
        return 0.0


def in_rows(parms: Sequence[Parm]) -> Iterator[list[Parm]]:
    """Parameters by line: buttons that are joined share one."""
    row: list[Parm] = []
    for parm in parms:
        row.append(parm)
        if "joinnext" not in parm.flags:
            yield row
            row = []
    if row:
        yield row


if __name__ == "__main__":
    main()
