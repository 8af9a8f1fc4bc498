"""Deepgram's traps and quirks. Their numbers are the order here, and stand in the names of tests (`test_trap_3_...`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_SPEC: Final = "Deepgram's OpenAPI description (github deepgram/deepgram-api-specs)"
_ROLES: Final = 'Deepgram\'s docs, "Working with Roles"'
_ERRORS: Final = 'Deepgram\'s docs, "Errors"'
_CREATING: Final = 'Deepgram\'s docs, "Create Additional API Keys"'
_AUTHENTICATING: Final = 'Deepgram\'s docs, "Authenticating"'
_TOKENS: Final = 'Deepgram\'s docs, "Token-Based Authentication"'
_PROJECTS: Final = 'Deepgram\'s docs, "Managing Projects"'
_LOGS: Final = 'Deepgram\'s docs, "Using Logs & Usage"'
_CALLBACK: Final = 'Deepgram\'s docs, "Callback"'
_LEAVING: Final = 'Deepgram\'s guide "Safely Removing Team Members with Active API Keys"'
_OLD_REFERENCE: Final = "Deepgram's older API reference (developers.deepgram.com/api-reference)"
_RUST: Final = "the types of github deepgram/deepgram-rust-sdk (src/manage)"
_ISSUE_187: Final = "deepgram-python-sdk issue 187"
_SDK: Final = "measured: PyPI deepgram-sdk 7.17.0 against a server on loopback"
_APPMIXER: Final = "Appmixer's end-to-end notes on its Deepgram connector"
_ABSENT: Final = "absent from the description, the docs and all SDKs"
_CARE: Final = "follows from the others"

_PROVIDER = "tests/contract/test_provider.py"
_ANSWERS = "tests/contract/test_provider_answers.py"
_CREDENTIALS = "tests/contract/test_provider_credentials.py"
_FAULTS = "tests/contract/test_provider_faults.py"
_HOSTILE = "tests/contract/test_provider_hostile.py"
_HTTP = "tests/contract/test_provider_http.py"
_LOG = "tests/contract/test_provider_log.py"
_SDK_TEST = "tests/contract/test_provider_sdk.py"
_SHAPES = "tests/contract/test_provider_shapes.py"
_SIMULATOR = "tests/contract/test_provider_simulator.py"
_WRITES = "tests/contract/test_provider_writes.py"
_PARSERS = "tests/core/test_deepgram_answers.py"
_FINDINGS = "tests/core/test_findings.py"
_FACTS = "tests/core/test_facts.py"
_INVARIANTS = "tests/core/test_invariants.py"
_KEY = "tests/core/test_key.py"
_LOAD = "tests/core/test_policy_load.py"
_MATCH = "tests/core/test_policy_match.py"
_PUBLISH = "tests/core/test_steps_publish.py"
_RETIRE = "tests/core/test_steps_retire.py"
_ROTATE = "tests/core/test_steps_rotate.py"
_SCHEDULE = "tests/core/test_schedule.py"
_PROMISES = "tests/integration/test_promises.py"


@dataclass(frozen=True, slots=True)
class Trap:
    """One trap: `what` Deepgram does, the program's `answer`, where it is known from, and the tests (file, function)."""

    what: str
    answer: str
    sources: tuple[str, ...]
    tests: tuple[tuple[str, str], ...]


TRAPS: Final = (
    Trap(
        "One key comes in three shapes",
        "Nested as it is described, flat as the docs show it, and in between: each is read. An answer about another "
        "key than the one that was asked for is refused.",
        (_SPEC, _ROLES, _RUST, "example 51-management-keys.py of github deepgram/deepgram-python-sdk"),
        (
            (_PROVIDER, "test_trap_1_and_2_expiry_and_tags_are_right_whatever_the_shape"),
            (_ANSWERS, "test_trap_1_every_published_shape_is_read"),
            (_ANSWERS, "test_trap_1_another_key_than_the_one_asked_for_is_rejected"),
            (_SDK_TEST, "test_it_reads_a_key_as_described"),
            (_SDK_TEST, "test_it_finds_no_item_in_a_key_as_the_docs_show_it_and_yet_loses_nothing"),
        ),
    ),
    Trap(
        "A list has neither tags nor expiry",
        "Each key is read by itself before anything depends on it. A field that is missing means none only where the "
        "key itself was read, and one that can't be understood never does.",
        (_SPEC, f"otherwise in {_OLD_REFERENCE} and {_RUST}"),
        (
            (_PROVIDER, "test_trap_1_and_2_expiry_and_tags_are_right_whatever_the_shape"),
            (_PARSERS, "test_trap_2_absent_null_and_empty_tags_are_alike"),
            (_PARSERS, "test_trap_2_an_odd_expiry_never_reads_as_no_expiry"),
            (_SIMULATOR, "test_a_list_has_neither_tags_nor_expiry"),
            (_SDK_TEST, "test_it_lists_keys"),
        ),
    ),
    Trap(
        "A create with a bare date, an empty list of tags, nulls or two expiries is refused",
        "What is unset is left out, and a lifetime is sent as whole seconds.",
        (_ISSUE_187, _SPEC, _SDK),
        (
            (_ANSWERS, "test_trap_3_a_create_sends_exactly_this"),
            (_WRITES, "test_trap_3_no_tags_and_no_lifetime_are_not_sent_at_all"),
            (_WRITES, "test_trap_3_a_lifetime_is_whole_seconds_and_at_least_one"),
            (_PARSERS, "test_trap_3_anything_else_is_no_timestamp"),
            (_SIMULATOR, "test_trap_3_a_create_that_deepgram_would_not_take"),
            (_SDK_TEST, "test_what_it_sends_for_nothing_is_refused"),
        ),
    ),
    Trap(
        "The expiry of the old key is nearly past, and its clock is not ours",
        "The replacement gets the old key's whole lifetime afresh, or what the policy says. Deepgram's clock is read "
        "from its answers, and nothing is revoked while the clocks differ.",
        (_CREATING, _CARE),
        (
            (_PROVIDER, "test_trap_4_tells_the_clock_of_deepgram"),
            (_ANSWERS, "test_trap_4_deepgrams_clock_and_ours_are_told_apart"),
            (_SCHEDULE, "test_a_lifetime_is_inherited_whole_however_little_is_left_of_it"),
            (_INVARIANTS, "test_any_two_of_the_three_clocks_may_differ_by_thirty_seconds"),
        ),
    ),
    Trap(
        "A create may get more scopes than were asked for, in another order",
        "Scopes are compared as sets, with what the old key shows; the record keeps what was asked and what was seen.",
        (f"a sample in {_CREATING}", _OLD_REFERENCE),
        (
            (_WRITES, "test_trap_5_expanded_scopes_are_shown_as_they_are"),
            (_ROTATE, "test_rights_are_compared_as_sets_with_what_the_old_key_shows"),
            (_FACTS, "test_scopes_may_be_those_asked_for_or_those_that_the_provider_makes_of_them"),
            (_PROMISES, "test_scopes_that_the_provider_expands_are_compared_as_it_lists_them"),
        ),
    ),
    Trap(
        "A create that is repeated makes another key",
        "There is no idempotency key. A create is sent once; when its outcome is unknown, the mark in the comment "
        "finds its key again.",
        (_ABSENT, _SDK),
        (
            (_FAULTS, "test_trap_6_a_create_is_sent_once_and_never_told_undone_when_it_may_be_done"),
            (_ANSWERS, "test_trap_6_a_key_whose_secret_was_not_understood_may_exist"),
            (_ROTATE, "test_an_unanswered_create_keeps_its_attempt_and_is_not_repeated"),
            (_PROMISES, "test_a_key_whose_creation_answer_was_lost_is_found_and_revoked"),
            (_SDK_TEST, "test_left_to_itself_it_creates_a_key_per_attempt"),
        ),
    ),
    Trap(
        "The secret is shown once, and Vault may fail right after",
        "The intent is written before the create. A publish whose outcome is unknown is read back; a key whose secret "
        "is lost is revoked by its recorded attempt.",
        (_SPEC, _CREATING),
        (
            (_SIMULATOR, "test_a_create_answers_flat_with_the_secret_once"),
            (_ROTATE, "test_the_intent_with_its_base_is_stored_before_anything_is_created"),
            (_PUBLISH, "test_a_publish_that_did_not_happen_is_sent_again_at_the_same_base"),
            (_PUBLISH, "test_a_publish_whose_end_can_not_be_found_out_keeps_everything_for_the_next_look"),
        ),
    ),
    Trap(
        "A comment is all that carries a mark, and people copy comments",
        "The mark is an exact form that replaces an older one and never grows; it alone proves nothing.",
        (_SPEC, _CREATING),
        (
            (_KEY, "test_a_mark_replaces_an_older_one_and_never_grows"),
            (_KEY, "test_what_only_looks_like_a_mark_is_none"),
            (_PROMISES, "test_a_key_with_a_copied_mark_is_never_touched"),
        ),
    ),
    Trap(
        "A key that is deleted before Vault serves the new one takes its consumers along",
        "A publish counts when that very version was read back; the check is repeated just before the deletion.",
        (_CREATING, _CARE),
        (
            (_PUBLISH, "test_a_lagging_read_back_is_not_taken_for_a_publish_that_did_not_happen"),
            (_INVARIANTS, "test_the_obstacle_is"),
            (_RETIRE, "test_what_happens_between_decision_and_deletion_stops_it_and_gives_the_claim_back"),
        ),
    ),
    Trap(
        "A new secret may take a while to be accepted",
        "It is proven by a call before it is published, again and again until a deadline.",
        (_AUTHENTICATING, "no public text says how long it takes"),
        (
            (_CREDENTIALS, "test_trap_10_a_new_secret_may_be_accepted_late"),
            (_ROTATE, "test_a_new_key_may_take_a_while_to_be_known"),
            (_ROTATE, "test_a_candidate_that_never_works_is_revoked_and_tried_again_later"),
        ),
    ),
    Trap(
        "401 also means a missing right, and 404 also a wrong project or a key that one may not see",
        "The code in the body decides, not the status. A 404 proves nothing by itself: a list that shows another key "
        "does.",
        (_ERRORS, "deepgram-ai-agent-demo issue 62 (403 seen)", _ROLES),
        (
            (_ANSWERS, "test_trap_11_the_code_and_not_the_status_says_whether_a_secret_is_valid"),
            (_WRITES, "test_trap_11_a_second_time_is_not_found"),
            (_CREDENTIALS, "test_trap_11_a_wrong_project_does_not_pass_for_a_deleted_key"),
            (_CREDENTIALS, "test_trap_11_a_project_that_is_hidden_does_not_pass_for_an_empty_one"),
            (_CREDENTIALS, "test_trap_11_a_missing_right_that_is_told_as_401_is_no_dead_key"),
            (_RETIRE, "test_a_404_from_a_demoted_management_key_is_not_believed"),
        ),
    ),
    Trap(
        "A list may be a part, and does not say so",
        "Absence counts only in a list that shows the key that is served, or somebody else's. Many absent at once "
        "stop everything.",
        (_ROLES, _OLD_REFERENCE),
        (
            (_PROVIDER, "test_trap_12_a_weak_management_key_sees_a_part_and_that_proves_no_absence"),
            (_PROVIDER, "test_trap_12_a_list_that_shows_somebody_elses_key_proves_absence"),
            (_PROVIDER, "test_trap_12_a_key_that_is_not_shown_to_us_is_not_found"),
            ("tests/core/test_fleet.py", "test_when_most_keys_vanish_at_once_nothing_is_believed"),
        ),
    ),
    Trap(
        "The management key is in the list as well, and may expire",
        "It learns its own id from the self-check, never deletes that, takes it into no lineage that does not name "
        "it, and `check` tells when it ends. While its id is unknown, nothing is deleted.",
        (_AUTHENTICATING, "a recorded answer in the end-to-end tests of deepgram-js-sdk 4.11.2"),
        (
            (_PROVIDER, "test_trap_13_says_which_key_and_member_we_are"),
            (_WRITES, "test_trap_13_our_own_management_key_is_refused_before_anything_is_sent"),
            (_LOG, "test_trap_13_an_expiry_is_told"),
            (_PROVIDER, "test_says_nothing_of_us_where_the_self_check_does_not"),
            (_MATCH, "test_what_a_selector_never_takes"),
            (_INVARIANTS, "test_the_obstacle_is"),
        ),
    ),
    Trap(
        "Keys belong to the person whose key made them, and fall with that person",
        "New keys belong to the member behind the management key; `check` says who that is, what role it has, and "
        "whether it is somebody's own account.",
        (_LEAVING, _PROJECTS),
        (
            (_WRITES, "test_trap_14_the_key_belongs_to_the_member_behind_our_management_key"),
            (_CREDENTIALS, "test_trap_14_removing_a_member_ends_their_keys"),
            (_CREDENTIALS, "test_trap_14_a_demoted_person_takes_the_rights_of_their_keys_along"),
            (_LOG, "test_trap_14_the_role_of_a_demoted_owner_is_told"),
            (_FINDINGS, "test_what_is_less_than_best_is_told"),
            (_SIMULATOR, "test_a_key_has_at_most_the_rights_of_its_owner"),
        ),
    ),
    Trap(
        "Temporary keys of apps, licence keys and expired keys are in the list too",
        "No selector takes them.",
        (
            'Deepgram\'s community answers, "Managing short-lived API keys"',
            'Deepgram\'s docs, "License Proxy"',
        ),
        ((_MATCH, "test_what_a_selector_never_takes"),),
    ),
    Trap(
        "Expired keys stay listed until somebody deletes them",
        "They are shown. Those of our own records are tidied away; those of others never.",
        (_TOKENS, 'Deepgram\'s community answers, "Managing short-lived API keys"'),
        (
            (_PROVIDER, "test_trap_16_expired_keys_are_shown"),
            (_SDK_TEST, "test_it_lists_the_active_and_the_expired_apart"),
            (_INVARIANTS, "test_its_expiry_releases_an_original_at_that_very_instant_on_the_providers_clock"),
            (_PROMISES, "test_only_keys_that_a_policy_may_take_become_lineages"),
        ),
    ),
    Trap(
        "An empty request log does not mean that a key is unused",
        "Requests show 12 to 17 minutes late, refused ones never, managing ones neither. What the log can't show is "
        "told as unknown, and the end of what it can show is told with it.",
        (_APPMIXER, _LOGS, _OLD_REFERENCE),
        (
            (_LOG, "test_trap_17_a_request_that_shows_late_was_made_after_the_log_ended"),
            (_LOG, "test_trap_17_what_is_older_than_the_log_tells_nothing"),
            (_LOG, "test_trap_17_a_page_that_is_not_the_newest_requests_of_the_key_is_no_answer"),
            (_LOG, "test_a_log_without_any_request_tells_nothing"),
            (_SIMULATOR, "test_has_no_call_that_manages_and_none_that_was_refused"),
            (_SIMULATOR, "test_is_kept_for_90_days_and_shows_each_request_late"),
        ),
    ),
    Trap(
        "Usage summaries tell days, and a mistyped filter widens them",
        "They are not used. Last use comes from the request log to the second, and every row must be of the key that "
        "was asked for.",
        (_SPEC, _OLD_REFERENCE),
        (
            (_LOG, "test_trap_18_last_use_is_told_by_the_log_to_the_second_and_by_no_summary"),
            (_SIMULATOR, "test_is_filtered_as_documented"),
        ),
    ),
    Trap(
        "Pages of the log are counted from 0, older docs allow 100 rows, and a + in a time is a space",
        "The first page of ten rows is asked for, and no time is sent.",
        (_OLD_REFERENCE, _SPEC),
        (
            (_LOG, "test_trap_19_pages_are_counted_from_0_and_the_key_is_named"),
            (_SIMULATOR, "test_is_filtered_as_documented"),
            (_SDK_TEST, "test_it_pages_through_the_requests_of_one_key"),
        ),
    ),
    Trap(
        "The id of the key changes, and some programs compare it",
        "The id of the key and that of the one before stand beside the secret in Vault.",
        (_CALLBACK, _OLD_REFERENCE),
        (("tests/core/test_vault_fields.py", "test_a_publish_writes_texts_and_keeps_the_rest"),),
    ),
    Trap(
        "Tokens that were made with the old key live up to an hour, and open streams longer",
        "The old key works on for the overlap, a day by default.",
        (_TOKENS, "deepgram-js-sdk issue 300"),
        ((_LOAD, "test_trap_21_the_usual_overlap_outlives_every_token"),),
    ),
    Trap(
        "Only one host manages keys, and only over TLS",
        "Another endpoint of Deepgram is refused when the policy file is read, and plain http to another machine too.",
        (
            f"{_RUST} pin it",
            'Deepgram\'s docs, "Regional Endpoints" and "Using SDKs with Self-Hosted"',
            f"{_SPEC} names the agent host first",
        ),
        (
            (_LOAD, "test_trap_22_an_endpoint_that_manages_no_keys_is_refused"),
            (_HTTP, "test_trap_22_a_base_url_is_https_or_this_machine"),
        ),
    ),
    Trap(
        "The answer to a create holds the secret, and libraries show answers in errors and logs",
        "No error, log or repr of ours holds a body or a header; HTTP libraries are kept silent.",
        (_SDK, "deepgram-go-sdk issue 202"),
        (
            (_WRITES, "test_trap_23_the_answer_does_not_show_the_secret"),
            (_HTTP, "test_nothing_of_a_call_is_logged_or_in_its_error"),
            (_HTTP, "test_the_body_of_an_answer_is_not_in_its_repr"),
            (_ANSWERS, "test_every_status_is_one_of_our_errors_and_shows_nothing"),
        ),
    ),
    Trap(
        "An odd id makes the URL of something else, an empty one that of all keys",
        "Only letters, digits and dashes are taken for an id, be it from Deepgram or from a person.",
        (_SDK,),
        (
            (_CREDENTIALS, "test_trap_24_an_odd_id_never_reaches_a_url"),
            (_LOG, "test_trap_24_an_odd_id_never_reaches_a_url"),
            (_HOSTILE, "test_a_list_with_an_id_that_leads_elsewhere_is_no_list_and_nothing_is_asked_for_it"),
        ),
    ),
    Trap(
        "Names of projects are not unique, and a key sees only its own",
        "A project is named by its id.",
        (_SPEC, 'Deepgram\'s docs, "Using Multiple Projects"'),
        (
            (_CREDENTIALS, "test_trap_25_another_project_is_rejected"),
            (_LOG, "test_trap_25_of_another_project_it_is_rejected"),
            (_SIMULATOR, "test_twelve_projects_know_nothing_of_each_other"),
        ),
    ),
    Trap(
        "A deletion can't be taken back, and a key can't be switched off or changed",
        "What was checked counts for five seconds; a deletion that would have to wait is not sent.",
        (_CREATING, _ABSENT),
        (
            (_RETIRE, "test_a_look_that_took_more_than_five_seconds_deletes_nothing"),
            (_WRITES, "test_a_delete_that_would_have_to_wait_is_not_sent"),
            (_PROVIDER, "test_reads_a_key_once_as_it_can_never_change"),
        ),
    ),
    Trap(
        "Two who rotate one key at once are kept apart by nobody",
        "Check-and-set in Vault keeps them apart.",
        (_ABSENT,),
        (
            (_PROMISES, "test_two_processes_make_one_publish_from_each_version"),
            (_ROTATE, "test_nothing_is_created_when_somebody_else_wrote_the_record_first"),
        ),
    ),
    Trap(
        "Errors have three kinds of bodies, and proxies send a fourth",
        "Only codes of a closed list are read and shown; anything else is its status alone.",
        (_SPEC, _ERRORS),
        (
            (_SHAPES, "test_every_error_of_every_call_has_one_of_the_three_shapes"),
            (_SDK_TEST, "test_the_three_kinds_of_errors_reach_it"),
            (_SIMULATOR, "test_the_three_kinds_of_error_bodies"),
            (_PARSERS, "test_only_codes_of_a_closed_list_are_shown"),
            (_ANSWERS, "test_a_body_that_is_no_json_is_rejected_or_after_a_create_ambiguous"),
        ),
    ),
    Trap(
        "The self-check may not say whose key it is",
        "Then no key is known to be the management key, and nothing is deleted.",
        ("not in the description; " + _AUTHENTICATING,),
        (
            (_PROVIDER, "test_says_nothing_of_us_where_the_self_check_does_not"),
            (_FINDINGS, "test_a_provider_that_does_not_say_which_key_is_ours"),
            (_LOG, "test_where_the_self_check_says_no_id_only_the_scopes_are_known"),
        ),
    ),
    Trap(
        "A second has 0 to 6 digits behind it, sometimes 9",
        "All are read.",
        (f"samples in {_CREATING}", _OLD_REFERENCE),
        (
            (_PROVIDER, "test_reads_any_fraction_of_a_second"),
            (_PARSERS, "test_timestamps_are_read_with_any_fraction_and_any_zone"),
            (_SDK_TEST, "test_it_creates_a_key_that_works_and_deletes_it"),
        ),
    ),
    Trap(
        "A create may lose the tags, by which usage is billed",
        "The new key is read back, and one that lacks tags is revoked and its lineage held.",
        (_PROJECTS, "github deepgram/deepgram-go-sdk (its request leaves tags out)"),
        (
            (_WRITES, "test_lost_tags_show"),
            (_PROMISES, "test_a_replacement_without_its_tags_is_revoked_and_the_lineage_held"),
        ),
    ),
    Trap(
        "A rate limit may say when to come back, and may not",
        "429 is obeyed with its Retry-After, and else with pauses that double.",
        (_ERRORS, "deepgram-sdk 7.17.0 reads retry-after-ms and retry-after"),
        (
            (_ANSWERS, "test_a_throttled_call_says_when_to_come_back"),
            (_FAULTS, "test_after_a_throttled_call_nothing_is_sent_before_its_time"),
            (_SHAPES, "test_an_error_that_a_fault_brings_has_one_of_the_three_shapes"),
        ),
    ),
    Trap(
        "The scheme of the header is Token; a token that Deepgram made manages nothing",
        "Keys are sent with `Token`.",
        (_AUTHENTICATING, _TOKENS),
        (
            (_SIMULATOR, "test_the_scheme_is_token"),
            (_CREDENTIALS, "test_an_accepted_secret_says_whose_it_is"),
        ),
    ),
)
