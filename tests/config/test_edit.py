"""Editing by splicing says what editing the values would say, and touches nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routerd.config import ConfigErrors, load
from routerd.config.compose import compose
from routerd.config.document import Document
from routerd.config.edit import Edited, key_of, merged, removed, same
from routerd.config.load import router_of
from routerd.config.text import decode
from routerd.config.write import item, on_one_line, written

HEAD = "apiVersion: routerd.net/v1alpha1\nkind: Router\nmetadata: {name: home}\n"
NET = "net.routerd.net/v1alpha1"
CANONICAL = """\
# the house
apiVersion: routerd.net/v1alpha1
kind: Router
metadata: {name: home}   # ours
spec:
  # what there is
  resources:
    # the line outside
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata:
        name: wan   # fibre
      spec:
        ifname: eth0
        # nothing else

    # the house
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: lan}
      spec: {ifname: eth1}
    - {apiVersion: net.routerd.net/v1alpha1, kind: IPv4StaticAddress,
       metadata: {name: lan}, spec: {interface: lan, address: 192.168.1.1/24}}
    # the end
  reconcile:
    mode: progressive
# bye
"""


def document(text: str) -> Document:
    return compose(decode(text, "router.yaml"))


def data_of(text: str) -> Any:
    return document(text).root.data


def merge(canonical: str, candidate: str) -> Edited:
    return merged(document(canonical), decode(candidate, "candidate"))


def after(edited: Edited) -> str:
    return edited.document.text.text


def interface(name: str, ifname: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": NET, "kind": "Interface", "metadata": {"name": name}, "spec": {"ifname": ifname, **spec}}


def candidate(*resources: Any) -> str:
    lines = [line for resource in resources for line in item(resource)]
    return "spec:\n  resources:\n" + "".join(f"  {line}\n" for line in lines)


def test_a_resource_takes_the_place_of_the_one_of_its_name_and_nothing_else_moves() -> None:
    text = after(
        merge(
            CANONICAL,
            "spec:\n  resources:\n  - apiVersion: "
            + NET
            + """
    kind: Interface
    metadata: {name: wan}
    # now the other fibre
    spec:
      ifname: eth9   # blue
""",
        )
    )
    begin, end = CANONICAL.index("    - apiVersion"), CANONICAL.index("\n\n    # the house\n")
    assert (
        text
        == CANONICAL[:begin]
        + """\
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata: {name: wan}
      # now the other fibre
      spec:
        ifname: eth9   # blue"""
        + CANONICAL[end:]
    )


def test_a_new_resource_comes_last() -> None:
    text = after(merge(CANONICAL, candidate(interface("dmz", "eth2"))))
    new = """
    - apiVersion: net.routerd.net/v1alpha1
      kind: Interface
      metadata:
        name: dmz
      spec:
        ifname: eth2"""
    place = CANONICAL.index("\n    # the end")
    assert text == CANONICAL[:place] + new + CANONICAL[place:]


def test_a_new_resource_brings_the_comment_above_it_along() -> None:
    first, second = (item(interface(name, "eth2")) for name in ("dmz", "wan"))
    lines = ["# all", "", "# cameras", "#  and bells", *first, "# not brought: there is one", *second]
    text = after(merge(CANONICAL, "spec:\n resources:\n" + "".join(f" {line}\n" for line in lines)))
    place = text.index("    # cameras\n    #  and bells\n    - apiVersion")
    assert text.index("ifname: eth2") < place < text.index("# the end")
    assert "# all" not in text
    assert "not brought" not in text


def test_what_says_the_same_stays_as_it_was_written() -> None:
    assert after(merge(CANONICAL, CANONICAL)) == CANONICAL
    assert after(merge(CANONICAL, candidate(interface("wan", "eth0")))) == CANONICAL


def test_a_resource_is_removed_with_its_lines() -> None:
    key = (NET, "Interface", "lan")
    text = after(removed(document(CANONICAL), key))
    lines = CANONICAL.splitlines(keepends=True)
    begin = lines.index("    # the house\n") + 1
    assert text == "".join(lines[:begin] + lines[begin + 4 :])
    with pytest.raises(KeyError):
        removed(document(text), key)


@pytest.mark.parametrize(
    "style", ["spec:\n  resources:%s\n", "spec:\n  resources:%s  # all of them\n", "spec: {resources:%s}\n"]
)
def test_a_list_can_be_emptied_and_filled_again(style: str) -> None:
    one, other = interface("wan", "eth0"), interface("lan", "eth1")
    full = after(merge(HEAD + style % " []", candidate(one, other)))
    assert [key_of(data)[2] for data in data_of(full)["spec"]["resources"]] == ["wan", "lan"]
    less = removed(document(full), (NET, "Interface", "wan")).document
    none = removed(less, (NET, "Interface", "lan"))
    assert data_of(after(none))["spec"]["resources"] == []
    assert ("# all of them" in after(none)) == ("# all" in style)
    again = merge(after(none), candidate(one))
    assert data_of(after(again))["spec"]["resources"] == [one]


def test_line_ends_and_a_missing_last_one_are_kept() -> None:
    text = CANONICAL[: CANONICAL.index("\n    # the end")].replace("\n", "\r\n")
    new = after(merge(text, candidate(interface("dmz", "eth2"))))
    assert new.startswith(text)
    assert "\n" not in new[len(text) :].replace("\r\n", "")
    assert not new.endswith("\n")
    assert load(new).get("Interface", "dmz") is not None


ODD = [
    ("all: &r\n- {a: 1}\nspec: {resources: *r}\n", "stands elsewhere"),
    ("spec:\n  resources: &r\n  - {a: 1}\n", "has an anchor"),
    ("spec: {resources: [&r {a: 1}, *r]}\n", "anchor"),
    ("spec: {resources: [{a: &r {a: 1}}, *r]}\n", "anchor"),
    ('spec:\n  resources:\n  - {a: "x\n  - y"}\n', "look like items"),
]


@pytest.mark.parametrize(("text", "words"), ODD)
def test_what_cannot_be_spliced_is_refused_with_its_place(text: str, words: str) -> None:
    with pytest.raises(ConfigErrors, match=words) as refused:
        merge(text, candidate(interface("dmz", "eth2")))
    [error] = refused.value.errors
    assert error.code == "edit.style"
    assert error.line >= 1 and error.hint


def test_an_anchor_that_others_use_cannot_be_taken_away() -> None:
    text = HEAD + "spec:\n  resources:\n  - {apiVersion: v, kind: A, metadata: &m {name: n}}\n  - metadata: *m\n"
    with pytest.raises(ConfigErrors) as refused:
        removed(document(text), ("v", "A", "n"))
    [error] = refused.value.errors
    assert (error.code, error.line) == ("yaml.alias", 7)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("spec: {}", "schema.required"),
        ("spec: {resources: []}", "edit.empty"),
        ("resources: []", "schema.unknown-field"),
        ("kind: Interface\nspec: {resources: [1]}", "schema.enum"),
        ("- 1", "schema.type"),
        ("", "yaml.empty"),
        ("spec: {resources: [", "yaml.syntax"),
        ("spec: {resources: [{a: 1, a: 2}]}", "yaml.duplicate-key"),
        (candidate(interface("a", "b"), interface("a", "c")), "duplicate.resource"),
    ],
)
def test_a_candidate_that_is_none_is_refused(text: str, code: str) -> None:
    with pytest.raises(ConfigErrors) as refused:
        merge(CANONICAL, text)
    assert code in [error.code for error in refused.value.errors]
    assert all(error.source == "candidate" for error in refused.value.errors)


def test_errors_are_told_where_their_author_wrote_them() -> None:
    text = "spec:\n     resources:\n     -  apiVersion: " + NET + "\n        kind: Interface\n"
    text += "        metadata: {name: dmz}\n        spec: {ifname: eth2, mtuu: 1}\n"
    edited = merge(CANONICAL, text)
    with pytest.raises(ConfigErrors) as refused:
        router_of(edited.document)
    [error] = edited.traced(refused.value).errors
    assert (error.source, error.line, error.column) == ("candidate", 6, 30)
    gone = removed(document(CANONICAL), (NET, "Interface", "lan"))
    with pytest.raises(ConfigErrors) as refused:
        router_of(gone.document)
    [error] = gone.traced(refused.value).errors
    assert error.source == "router.yaml"
    assert CANONICAL.splitlines()[error.line - 1][error.column - 1 :].startswith("lan, address")
    assert error.message == f"Interface/lan is still used by IPv4StaticAddress/lan (router.yaml:{error.line})"
    assert error.hint == "change or delete IPv4StaticAddress/lan first"


ONE = "apiVersion: " + NET + "\n      kind: Interface\n      metadata: {name: %s}\n      spec: {ifname: eth2%s}\n"
IN_BRACKETS = "spec: {resources: [{apiVersion: " + NET + ", kind: Interface, metadata: {name: dmz}, spec: {mtuu: 1}}]}"
ANCHORED = (
    "spec:\n  resources:\n    - apiVersion: " + NET + "\n      kind: Interface\n"
    "      metadata: {name: &name dmz, annotations: {a: *name}}\n      spec:\n        mtuu: 1   # no\n"
)


@pytest.mark.parametrize("text", [IN_BRACKETS, ANCHORED])
def test_errors_in_what_is_written_anew_have_the_authors_place_and_line_too(text: str) -> None:
    edited = merge(CANONICAL, text)
    with pytest.raises(ConfigErrors) as refused:
        router_of(edited.document)
    wrong = next(error for error in edited.traced(refused.value).errors if error.code == "schema.unknown-field")
    line = text.splitlines()[wrong.line - 1]
    assert line[wrong.column - 1 :].startswith("mtuu: 1")
    assert wrong.text in line or wrong.text.strip("…") in line
    assert wrong.text[wrong.caret :].startswith("mtuu")


def test_a_glob_is_no_alias_and_its_comments_come_along() -> None:
    text = "spec:\n  resources:\n    # *all* of them & more\n    - " + ONE % ("dmz", "}  # *")
    assert text.partition("resources:")[2].rstrip() in after(merge(CANONICAL, text))


def test_a_resource_without_a_name_is_called_by_its_place_in_the_candidate() -> None:
    edited = merge(CANONICAL, "spec: {resources: [null, 7]}")
    with pytest.raises(ConfigErrors) as refused:
        router_of(edited.document)
    told = {(error.resource, error.column) for error in edited.traced(refused.value).errors}
    assert told == {("spec.resources[0]", 20), ("spec.resources[1]", 26)}


# Properties

NASTY = st.text(max_size=12) | st.sampled_from(
    ["", "yes", "~", "0x1", "- a", "a: b", "# no", "&x", "\u2028", "\t", "'"]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | NASTY | st.sampled_from([0.5, 1.0, 1e-9, 1e22]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NASTY.filter(bool), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from("abcdef")
RESOURCES = st.builds(
    lambda name, values: {"apiVersion": NET, "kind": "Interface", "metadata": {"name": name}, "spec": values},
    NAMES,
    st.dictionaries(NASTY.filter(bool), VALUES, max_size=4),
)
LISTS: st.SearchStrategy[list[dict[str, Any]]] = st.lists(
    RESOURCES, min_size=1, max_size=5, unique_by=lambda data: data["metadata"]["name"]
)


@st.composite
def texts(draw: st.DrawFn, resources: list[dict[str, Any]], head: str = HEAD) -> str:
    """A document with these resources, in one of the many ways to write it."""
    if draw(st.integers(0, 5)) == 0:
        listed = ", ".join(on_one_line(data) for data in resources)
        return head + f"spec: {{resources: [{listed}]{draw(st.sampled_from(['', ' ']))}}}" + draw(ENDS)
    indent = " " * draw(st.integers(2, 7))
    lines = [f"{indent[:2]}resources:" + draw(st.sampled_from(["", "  # all"]))]
    for data in resources:
        lines += draw(st.lists(st.sampled_from(["", "# note", f"{indent}# - a: b", "  "]), max_size=2))
        lines += [indent + line for line in draw(st.sampled_from([item(data), [f"-   {on_one_line(data)} # x"]]))]
    lines += draw(st.lists(st.sampled_from(["", "# end", f"{indent}# end"]), max_size=2))
    lines += draw(st.sampled_from([[], ["  reconcile: {}"]]))
    text = head + "spec:\n" + "\n".join(lines) + draw(ENDS)
    return draw(st.sampled_from([text, text.replace("\n", "\r\n")]))


ENDS = st.sampled_from(["", "\n", "\n\n", "\n# bye\n", "\n...\n", "\n  # bye"])


def as_data(base: list[dict[str, Any]], given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The merge, of values."""
    names = [data["metadata"]["name"] for data in base]
    by_name = {data["metadata"]["name"]: data for data in given}
    new = [data for data in given if data["metadata"]["name"] not in names]
    return [by_name.get(name, data) for name, data in zip(names, base, strict=True)] + new


@settings(max_examples=50, deadline=None)
@given(st.data(), LISTS, LISTS)
def test_a_merge_of_texts_says_what_a_merge_of_values_says(
    data: st.DataObject, base: list[dict[str, Any]], given: list[dict[str, Any]]
) -> None:
    canonical, offered = data.draw(texts(base)), data.draw(texts(given, head=""))
    edited = merge(canonical, offered)
    again = data_of(after(edited))
    assert same(again["spec"]["resources"], as_data(base, given))
    assert same({**again, "spec": {}}, {**data_of(canonical), "spec": {}})
    changed = [one for one in given if not any(same(one, other) for other in base)]
    if not changed:
        assert after(edited) == canonical
    assert after(merge(after(edited), offered)) == after(edited), "the second time there is nothing to do"


@settings(max_examples=80, deadline=None)
@given(st.data(), LISTS, RESOURCES)
def test_what_is_not_meant_stays_octet_for_octet(
    data: st.DataObject, base: list[dict[str, Any]], given: dict[str, Any]
) -> None:
    canonical = data.draw(texts(base))
    edited = merge(canonical, candidate(given))
    kept = [piece.text for piece in edited.pieces if piece.form == "copied"]
    if given["metadata"]["name"] not in [one["metadata"]["name"] for one in base]:
        assert "".join(kept) == canonical
    elif after(edited) != canonical:
        before, behind = (*kept, "")[:2]
        hole = canonical[len(before) : len(canonical) - len(behind)]
        assert before + hole + behind == canonical
        assert hole.count(NET) == 1, "nothing but the one resource is not there any more"


@settings(max_examples=80, deadline=None)
@given(st.data(), LISTS)
def test_a_removal_from_texts_says_what_a_removal_from_values_says(
    data: st.DataObject, base: list[dict[str, Any]]
) -> None:
    canonical = data.draw(texts(base))
    gone = data.draw(st.sampled_from(base))
    edited = removed(document(canonical), (NET, "Interface", gone["metadata"]["name"]))
    rest = [one for one in base if one is not gone]
    assert same(data_of(after(edited))["spec"]["resources"], rest)
    assert [line for line in canonical.splitlines() if line.lstrip().startswith("#")] == [
        line for line in after(edited).splitlines() if line.lstrip().startswith("#")
    ], "no comment goes with it"


@settings(max_examples=120, deadline=None)
@given(VALUES)
def test_what_is_written_is_read_again(value: Any) -> None:
    text = "\n".join(written({"x": value}))
    assert same(data_of(text), {"x": value}), text
    assert same(data_of(on_one_line({"x": value})), {"x": value})


SLIPS = st.lists(
    st.tuples(
        st.integers(0, 10**6),
        st.integers(0, 3),
        st.sampled_from(
            ["", " ", "\n", "- ", "#", ": ", "[", "]", "{", "}", "&a ", "*a", "'", '"', "|\n", "\t", "\r", "? "]
        ),
    ),
    max_size=3,
)


def slipped(text: str, slips: list[tuple[int, int, str]]) -> str:
    """A text in which somebody has hit the wrong keys."""
    for place, gone, put in slips:
        at = place % (len(text) + 1)
        text = text[:at] + put + text[at + gone :]
    return text


@settings(max_examples=150, deadline=None)
@given(SLIPS, SLIPS, st.sampled_from("abcdef"))
def test_whatever_is_written_is_edited_or_refused_with_a_place(
    base: list[tuple[int, int, str]], given: list[tuple[int, int, str]], name: str
) -> None:
    canonical, offered = slipped(CANONICAL, base), slipped(candidate(interface(name, "eth7")) + "# x\n", given)
    try:
        router_of(document(canonical))
    except ConfigErrors:
        return  # what is no configuration is not edited
    try:
        edited = merge(canonical, offered)
        edited = removed(edited.document, key_of(data_of(after(edited))["spec"]["resources"][0]))
        router_of(edited.document)
    except ConfigErrors as refused:
        assert all(error.line >= 1 and error.column >= 1 for error in refused.errors)
