# ruff: noqa: E501
"""The grammar of dialog scripts: each construct that libraries in the wild have, and each way to break it."""

from __future__ import annotations

import pytest

from lim_houdini.hda.interface import Default, Folder, Interface, Parm, read_interface
from lim_houdini.hda.rules import interface_problems
from lim_houdini.hda.script import ScriptError, parse_script


def read(*lines: str) -> Interface:
    return read_interface("# made by a test\n\n{\n    name\tthing\n" + "\n".join(lines) + "\n}\n")


def one(text: str) -> Parm:
    (parm,) = read("parm {", *text.splitlines(), "}").parms()
    return parm


def problems(text: str) -> str:
    return "\n".join(interface_problems(read(*text.splitlines())))


def test_names_inputs_and_outputs() -> None:
    interface = read(
        "script old",
        'label "A Thing"',
        "help {",
        '""',
        "}",
        'inputlabel 1 "In"',
        'inputlabel\t2\t"B"',
        'outputlabel 1 "O"',
    )
    assert (interface.name, interface.script, interface.label) == ("thing", "old", "A Thing")
    assert interface.inputs == {1: "In", 2: "B"}
    assert interface.outputs == {1: "O"}


@pytest.mark.parametrize(
    ("text", "components"),
    [
        ('name "a"\ntype float\ndefault { "0.1" }\nrange { 0 10 }', ["a"]),
        ('name "a"\ntype vector\nsize 3\ndefault { "0" "0" "1" }', ["ax", "ay", "az"]),
        ('name "a"\ntype vector2\nsize 2\ndefault { "0" "0" }', ["ax", "ay"]),
        ('name "a"\ntype intvector2\nsize 2\ndefault { "0" "0" }', ["ax", "ay"]),
        ('name "a"\ntype color\nsize 3\ndefault { "1" "1" "1" }', ["ar", "ag", "ab"]),
        ('name "a"\ntype float\nsize 5\ndefault { "0" "0" "0" "0" "0" }', ["a1", "a2", "a3", "a4", "a5"]),
    ],
)
def test_components_of_a_parameter(text: str, components: list[str]) -> None:
    assert one(text).components == components


def test_defaults_are_values_or_expressions() -> None:
    parm = one('name "r"\ntype intvector\nsize 3\ndefault { [ "$FSTART" hscript-expr ] [ "ch(\\"x\\")" python ] "8" }')
    assert parm.defaults == [Default("$FSTART", "hscript-expr"), Default('ch("x")', "python"), Default("8")]


def test_menus_of_pairs_of_scripts_and_of_tokens_that_are_values() -> None:
    assert one('name "m"\ntype ordinal\ndefault { "prim" }\nmenu {\n"prim" "Primitive"\n"pt" "Point"\n}').menu == [
        ("prim", "Primitive"),
        ("pt", "Point"),
    ]
    scripted = one(
        'name "m"\ntype string\ndefault { "" }\nmenureplace {\n[ "a = 1" ]\n[ "return []" ]\nlanguage python\n}'
    )
    assert scripted.menu_script == "a = 1\nreturn []"
    assert one('name "m"\ntype integer\ndefault { "2" }\nmenu usetokenvalue {\n"1" "One"\n"2" "Two"\n}').menu[1] == (
        "2",
        "Two",
    )


def test_tags_conditions_and_words_that_stand_alone() -> None:
    parm = one(
        'name "go"\ntype button\ninvisible\njoinnext\ndefault { "0" }\nhidewhen "{ a == 0 } { b != 1 c == 2 }"\n'
        'parmtag { "script_callback" "hou.phm().go(kwargs)" }\nparmtag { "script_callback_language" "python" }'
    )
    assert parm.tags["script_callback"] == "hou.phm().go(kwargs)"
    assert parm.conditions == {"hidewhen": "{ a == 0 } { b != 1 c == 2 }"}
    assert parm.flags == {"invisible", "joinnext"}


def test_folders_and_multiparms_nest() -> None:
    interface = read(
        'group {\nname "tab"\nlabel "Tab"\ngrouptag { "group_type" "simple" }\nhidewhentab "{ x == 1 }"',
        'multiparm {\nname "keys"\nlabel "Keys"\ndefault 2\nparmtag { "multistartoffset" "1" }',
        'parm {\nname "frame#"\ntype integer\ndefault { "1" }\n}\n}\n}',
    )
    (tab,) = interface.root.children
    assert isinstance(tab, Folder)
    (keys,) = tab.children
    assert isinstance(keys, Folder) and keys.multiparm and keys.default == 2
    assert [parm.name for parm in interface.parms()] == ["frame#"]


def test_comments_of_both_kinds_blocks_on_the_next_line_and_strings_over_several() -> None:
    text = '/* by\n hand */\n# and this\n{\noutput float a#b a\noutputoverrides default\n{\n___begin auto\n(0)\n}\nlabel "two\nlines"\n}'
    lines = parse_script(text).lines
    assert len(lines) == 3
    assert read_interface(text).label == "two\nlines"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "nothing here"),
        ("name a", "block should begin"),
        ("{\nname a\n", "closing brace is missing"),
        ('{\nlabel "a\n}\n', "line 2: a quote"),
        ("{\n}\n}", "after the closing brace"),
        ("{\nparm ]\n}", "line 2: ']' closes nothing"),
        ('{\nparm {\ntype float\ndefault { "0" }\n}\n}', "without a name"),
        ('{\nparm {\nname "a"\ndefault 0\n}\n}', "default without its braces"),
        ('{\nparm {\nname "a"\nmenu { "a" }\n}\n}', "each token needs a label"),
        ("{\n/* \n}", "comment that is not closed"),
    ],
)
def test_broken_scripts_are_refused_with_their_line(text: str, said: str) -> None:
    with pytest.raises(ScriptError, match=said):
        read_interface(text)


FLOAT = 'type float\ndefault { "0" }\n}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'parm {{\nname "a"\n{FLOAT}\nparm {{\nname "a"\n{FLOAT}', "2 parameters are named a"),
        (
            'parm {\nname "a"\ntype vector\nsize 3\ndefault { "0" "0" "0" }\n}\n' + f'parm {{\nname "ay"\n{FLOAT}',
            "named ay",
        ),
        (f'parm {{\nname "a b"\n{FLOAT}', "not a name"),
        ('parm {\nname "a"\ntype flaot\ndefault { "0" }\n}', "'flaot' is none"),
        ('parm {\nname "a"\ntype vector\nsize 3\ndefault { "0" }\n}', "1 defaults for 3"),
        ('parm {\nname "a"\ntype float\ndefault { [ "1" perl ] }\n}', "'perl' is no language"),
        ('parm {\nname "a"\ntype float\ndefault { "0" }\nrange { 0 }\n}', "not two numbers"),
        ('parm {\nname "a"\ntype float\ndefault { "0" }\nhidewhen "a == 1"\n}', "is not '{ parm == value }'"),
        ('multiparm {\nname "m"\nparm {\nname "a"\ntype float\ndefault { "0" }\n}\n}', "needs a #"),
    ],
)
def test_what_would_silently_eat_parameters_is_found(text: str, said: str) -> None:
    assert said in problems(text)
