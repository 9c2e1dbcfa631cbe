"""What a message means for the rest goes with its words, wherever the case goes."""

from __future__ import annotations

import string
from dataclasses import replace

import pytest
from LiverLesionAILib.case import messages
from LiverLesionAILib.case.messages import KINDS, OF_A_SCAN, doubts_density, kind_of, leading_first, leads
from LiverLesionAILib.case.store import load_result, save_result
from LiverLesionAILib.case.wording import notes
from LiverLesionAILib.support.message import PHASES, Kind, Message
from LiverLesionAILib.volume.reading_messages import FURTHER_PHASE, SECOND_PHASE, of_phase
from support.case_factory import small_case


def said_by(message: Message, **given: str) -> str:
    """A sentence of a message, its fields filled as the stages do."""
    asked = {field for _, field, _, _ in string.Formatter().parse(message.words) if field}
    values = {field: "portal venous" if field in PHASES else 7.0 for field in asked}
    return message.say(**{**values, **{field: text for field, text in given.items() if field in asked}})


@pytest.mark.parametrize("message", KINDS, ids=lambda one: one.words[:40])
def test_every_message_is_known_again_by_all_of_its_words(message: Message) -> None:
    said = said_by(message, what="is called (late); arterial", name="3.2", name_now="thorax, 5 mm")
    assert kind_of(said) is message.kind is not Kind.PLAIN
    begins_alike = f"{' '.join(said.split()[:8])} and it is fine."
    assert kind_of(begins_alike) is Kind.PLAIN
    for which in (SECOND_PHASE, FURTHER_PHASE, "Phase arterial"):
        assert kind_of(of_phase(which, said)) is message.kind & Kind.LEADS, "densities of another scan"
    assert kind_of(f"Prior scan: {said}") is Kind.PLAIN, "of another scan"


def test_each_entry_of_the_table_is_listed_with_the_kinds() -> None:
    """A new message with a kind cannot be forgotten there."""
    named = [one for one in vars(messages).values() if isinstance(one, Message)]
    listed = [*KINDS, *OF_A_SCAN]
    assert len(named) >= 12 and all(one in listed for one in named if one.kind is not Kind.PLAIN)


@pytest.mark.parametrize("message", OF_A_SCAN, ids=lambda one: one.words[:40])
def test_what_is_said_of_a_further_phase_doubts_no_density_of_this_scan(message: Message) -> None:
    assert doubts_density(said_by(message, who="The CT", what="is called late"))
    assert not doubts_density(said_by(message, who="Phase late", what="is called late"))


def test_a_kept_case_leads_with_the_same_sentences(tmp_path) -> None:
    """A case folder keeps sentences alone, as those of older versions do, in the order they were said."""
    ct, result = small_case()
    first, doubt = "Slices differ.", said_by(messages.TOO_DARK)
    kept = replace(result, messages=(first, doubt, "The file is compressed."))
    save_result(kept, tmp_path)
    read = load_result(tmp_path)
    assert read.messages == kept.messages
    assert notes(read)[:2] == (doubt, first) and [one for one in notes(read) if leads(one)] == [doubt]


def test_those_that_lead_come_first_and_the_others_stay_in_their_order() -> None:
    large, side = said_by(messages.TOO_LARGE), said_by(messages.CHECK_SIDE)
    assert leading_first(["a", large, "b", side]) == (large, side, "a", "b")


def test_names_are_taken_out_of_fields_and_never_out_of_a_messages_own_words() -> None:
    message = messages.CONTRADICTED.about(messages.THE_CT)
    said = said_by(message, what="is called CT late")
    changed = message.changed(said, lambda text: text.replace("CT", "this case"))
    assert changed == said_by(message, what="is called this case late") and doubts_density(changed)
