//! Tables of what the library and the command do: the tests that show each row. That they show what it
//! says, nobody but a reader sees: so the rows stand here, and whoever changes one comes by.

use crate::links::is_test;
use crate::markdown::{read, rows};

/// How a row begins, and the tests, or a script, that show it.
type Row<'a> = (&'a str, &'a [&'a str]);

/// Asserts that a table has these rows, and that the tests are there.
#[track_caller]
fn shown(document: &str, section: &str, column: &str, expected: &[Row]) {
    let found: Vec<_> = rows(document, section, column).iter().map(|row| row.join(" | ")).collect();
    assert_eq!(found.len(), expected.len(), "{document}, {section}: rows");
    for (found, (begin, tests)) in found.iter().zip(expected) {
        assert!(found.starts_with(begin), "{document}: {found:?} does not begin with {begin:?}");
        for test in *tests {
            assert!(
                is_test(test) || read(test).is_some(),
                "{document}, {begin}: there is no {test}"
            );
        }
    }
}

#[test]
fn which_command_is_for_whom() {
    shown(
        "README.md",
        "## Which of them is for whom",
        "",
        &[
            ("for | a program that you start | the same | one that runs | a whole service", &[]),
            (
                "how | the library | the library; where no preload works, a follower beside it",
                &["beside::verbose_says_which_way_was_taken"],
            ),
            (
                "reaches | every socket of a program that a preload reaches",
                &[
                    "follow::another_socket_at_a_descriptor_that_was_seen_is_set_too",
                    "cover::no_connection_is_without_when_accept_returns",
                ],
            ),
            (
                "rights | yours | yours | those of the program's user, else root | root, Linux 5.10",
                &[
                    "beside::an_ordinary_user_s_programs",
                    "follow::another_user_s_program_is_refused_at_once",
                    "cover_refusals::an_ordinary_user",
                    "tests/systems/kernels.sh",
                ],
            ),
            (
                "ends | with the program | with the program | with the program, or the follower \
                 | with the control group",
                &[
                    "unnoticed::it_ends_with_the_program",
                    "follow::it_ends_at_once_with_its_process_and_by_a_signal",
                    "cover::a_cover_ends_with_its_cgroup",
                ],
            ),
            ("costs | ", &["figures::the_readme_has_the_costs_that_were_measured"]),
        ],
    );
}

#[test]
fn by_which_names_a_process_is_found() {
    let names = "command_line::what_an_operator_would_call_it";
    shown(
        "docs/command.md",
        "## Seeing",
        "a process is called",
        &[
            (
                "as ps(1) shows it",
                &[names, "names::a_script_is_found_by_its_name_and_so_is_a_module"],
            ),
            (
                "as the script or the module",
                &["names::a_script_is_found_by_its_name_and_so_is_a_module"],
            ),
            ("as the main class or the jar", &["names::two_java_programs_are_told_apart"]),
            ("if nothing has the name: as its unit", &["groups::a_unit_a_slice_and_a_path"]),
        ],
    );
}

#[test]
fn who_may() {
    let yama = &["tests/systems/yama.sh"];
    shown(
        "docs/command.md",
        "## Who may",
        "situation",
        &[
            (
                "own process | yes | yes",
                &["refusals::an_ordinary_user_may_look_into_processes_of_its_own"],
            ),
            (
                "another user's, or the same user with another group | no | yes",
                &["refusals::a_process_of_another_user"],
            ),
            (
                "not dumpable (PR_SET_DUMPABLE, ssh-agent) | no | yes",
                &["refusals::a_process_that_is_not_dumpable"],
            ),
            (
                "has capabilities that the caller lacks (setcap) | no | yes",
                &["refusals::a_process_with_capabilities"],
            ),
            (
                "outside of the caller's user namespace | no | no: from outside of it",
                &["refusals::a_process_outside_of_the_user_namespace"],
            ),
            (
                "a seccomp filter on the command itself (containers) | no | no",
                &["refusals::a_seccomp_filter"],
            ),
            (
                "the command has `cap_sys_ptrace` alone | only own, dumpable processes | ",
                &["refusals::with_capabilities_of_its_own_the_command_may"],
            ),
            (
                "the command has `cap_sys_ptrace,cap_dac_read_search` | yes | ",
                &["refusals::with_capabilities_of_its_own_the_command_may"],
            ),
            (
                "in another network namespace | yes, but its timers are unknown | yes",
                &[
                    "refusals::one_s_own_container_may_be_looked_into_but_for_its_timers",
                    "targets::a_process_in_another_network_namespace",
                ],
            ),
            ("Yama 1 (Ubuntu) | no, also if it is the program's parent | yes", yama),
            ("Yama 2 | no | yes", yama),
            ("Yama 3 | no | no", yama),
        ],
    );
}

#[test]
fn what_is_followed_and_until_when() {
    shown(
        "docs/command.md",
        "## Following",
        "target",
        &[
            (
                "PID | the process and its descendants | when all of them have ended",
                &[
                    "follow::the_descendants_of_a_process_too",
                    "follow::it_ends_at_once_with_its_process_and_by_a_signal",
                ],
            ),
            (
                "NAME, unit, container, cgroup | all of its processes, also those that start later",
                &[
                    "follow::a_name_that_starts_later_and_again",
                    "groups::a_unit_that_restarts_is_followed",
                ],
            ),
        ],
    );
}

#[test]
fn when_a_cover_sets_what() {
    shown(
        "docs/command.md",
        "## Covering",
        "moment",
        &[
            (
                "connect(2), before the SYN is sent | ",
                &["cover::a_static_program_however_it_connects"],
            ),
            ("connect(2) has succeeded | ", &["cover::what_the_program_chose_stands"]),
            (
                "a connection is there, before accept(2) returns it | everything",
                &["cover::no_connection_is_without_when_accept_returns"],
            ),
            ("setsockopt(2), with `--force` alone | ", &["cover::force_has_the_last_word"]),
        ],
    );
}

#[test]
fn what_reaches_what_under_systemd_and_in_containers() {
    shown(
        "docs/deploying.md",
        "# Deploying",
        "means",
        &[
            ("`LD_PRELOAD`, or `keepalive run`", &["tests/systems/packages/walk.sh"]),
            (
                "`keepalive attach --follow`",
                &["units::services_of_a_real_systemd_are_followed_and_found_again_after_a_restart"],
            ),
            ("`keepalive cover`", &["cover::the_open_sockets_are_set_too_unless_they_shall_not"]),
        ],
    );
}

#[test]
fn what_reaches_what_the_library_does_not() {
    shown(
        "docs/library.md",
        "## What it cannot reach",
        "what",
        &[
            ("statically linked programs", &["beside::a_statically_linked_program"]),
            (
                "what a shell script starts",
                &[
                    "beside::a_shell_script_that_starts_such_programs",
                    "beside::a_program_whose_sockets_io_uring_makes",
                ],
            ),
            ("programs that are already running", &["follow::a_statically_linked_c_program"]),
            (
                "setuid programs",
                &["programs::the_table_of_programs_that_no_preload_reaches_is_up_to_date"],
            ),
            (
                "children of a program that drops",
                &[
                    "sessions::programs_in_sessions_of_sshd_are_followed_by_its_unit_and_by_its_number",
                ],
            ),
            // As the page says, not tried.
            ("sockets that the C library itself opens", &[]),
            ("all of these", &["cover::a_static_program_however_it_connects"]),
        ],
    );
}
