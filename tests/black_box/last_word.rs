//! Who has the last word on a socket's settings: `KEEPALIVE=on`, `off`, `skip` and `force`.

use crate::support;
use crate::{SET, SETTINGS, default, last_line, preloaded, preloaded_command, probe, settings_and};

const OWN_VALUES: &str = "socket AF_INET SOCK_STREAM 0 set SO_KEEPALIVE 0 set TCP_KEEPCNT 3 \
                          set TCP_KEEPIDLE 30 set TCP_KEEPINTVL 10 set TCP_USER_TIMEOUT 100 show";

#[test]
fn on_is_what_happens_when_nothing_is_said() {
    let script = "socket AF_INET SOCK_STREAM 0 show";
    assert_ne!(last_line(&probe(script)), SET);
    for mode in ["on", "ON", "On"] {
        assert_eq!(
            preloaded(&settings_and(&[("KEEPALIVE", mode)]), script),
            preloaded(&SETTINGS, script)
        );
    }
}

#[test]
fn under_on_what_the_program_sets_itself_stands() {
    assert!(preloaded(&SETTINGS, OWN_VALUES).ends_with(&probe(OWN_VALUES)));
}

#[test]
fn under_off_nothing_is_done() {
    let script = "socket AF_INET SOCK_STREAM 0 listen show raw_socket AF_INET SOCK_STREAM 0 \
                  connect show accept show set TCP_KEEPIDLE 30 show";
    for mode in ["off", "OFF"] {
        let variables = settings_and(&[("KEEPALIVE", mode), ("KEEPALIVE_DEBUG", "1")]);
        assert_eq!(preloaded(&variables, script), probe(script));
    }
}

#[test]
fn under_skip_the_timers_are_set_and_so_keepalive_is_left_to_the_program() {
    let script = "socket AF_INET SOCK_STREAM 0 show set SO_KEEPALIVE 1 show";
    let shown = preloaded(&settings_and(&[("KEEPALIVE", "skip")]), script);
    let timers_only = SET.replace("SO_KEEPALIVE=1", "SO_KEEPALIVE=0");
    assert_eq!(shown, format!("socket = 3\n{timers_only}\nset = 0\n{SET}\n"));
}

#[test]
fn under_force_the_operators_values_are_put_back() {
    let forced = preloaded(&settings_and(&[("KEEPALIVE", "force")]), OWN_VALUES);
    assert_eq!(last_line(&forced), SET);
    // The program is told that each of its own calls succeeded.
    assert_eq!(forced.matches("set = 0\n").count(), 5, "{forced}");
}

/// On 32-bit glibc such a program calls `__setsockopt64`: every one of Debian 13's armhf.
#[test]
fn under_force_a_program_with_64_bit_time_has_the_operators_values_put_back() {
    let arguments = ["-D_FILE_OFFSET_BITS=64", "-D_TIME_BITS=64"];
    let mut command = support::preloaded(support::compile("time64/probe", &arguments));
    command.envs(SETTINGS).args(OWN_VALUES.split_whitespace());
    assert_eq!(last_line(&support::stdout(&mut command)), last_line(&probe(OWN_VALUES)));
    let forced = support::stdout(command.env("KEEPALIVE", "force"));
    assert_eq!(last_line(&forced), SET);
    assert_eq!(forced.matches("set = 0\n").count(), 5, "{forced}");
}

#[test]
fn under_force_an_option_whose_variable_is_not_set_is_the_programs() {
    let script = "socket AF_INET SOCK_STREAM 0 set TCP_KEEPCNT 3 set TCP_NODELAY 1 \
                  set SO_REUSEADDR 1 show";
    let shown = last_line(&preloaded(&[("KEEPALIVE", "force"), ("KEEPIDLE", "180")], script));
    assert!(shown.contains("TCP_KEEPCNT=3 TCP_KEEPIDLE=180 "), "{shown}");
}

#[test]
fn under_force_so_keepalive_of_a_socket_that_is_not_tcp_is_the_programs() {
    for script in [
        "socket AF_INET SOCK_DGRAM 0 set SO_KEEPALIVE 1 set SO_KEEPALIVE 0 show",
        "socket AF_UNIX SOCK_STREAM 0 set SO_KEEPALIVE 1 set SO_KEEPALIVE 0 show",
    ] {
        let bare = probe(script);
        assert!(bare.contains("SO_KEEPALIVE=0 "), "{bare}");
        assert_eq!(preloaded(&settings_and(&[("KEEPALIVE", "force")]), script), bare);
    }
}

#[test]
fn under_force_every_error_is_the_kernels_own() {
    let script = "socket AF_INET SOCK_STREAM 0 \
                  set_on_bad_descriptor SO_KEEPALIVE set_on_bad_descriptor TCP_KEEPIDLE \
                  set_from_bad_address SO_KEEPALIVE set_from_bad_address TCP_KEEPIDLE \
                  set_with_short_length SO_KEEPALIVE set_with_short_length TCP_KEEPIDLE \
                  set TCP_KEEPIDLE 0 set TCP_KEEPIDLE 32768 set TCP_KEEPCNT 128 set TCP_KEEPINTVL -1";
    let forced = preloaded(&settings_and(&[("KEEPALIVE", "force")]), script);
    assert_eq!(forced, probe(script));
    for error in ["EBADF", "EFAULT", "EINVAL"] {
        assert!(forced.contains(error), "{error}: {forced}");
    }
}

#[test]
fn without_force_setsockopt_goes_straight_through() {
    let script = "socket AF_INET SOCK_STREAM 0 set TCP_KEEPIDLE 30 set SO_KEEPALIVE 0 show";
    for mode in ["on", "skip", "off"] {
        let variables = settings_and(&[("KEEPALIVE", mode)]);
        let shown = last_line(&preloaded(&variables, script));
        assert!(shown.contains("SO_KEEPALIVE=0") && shown.contains("TCP_KEEPIDLE=30"), "{shown}");
    }
}

/// The library reads the environment at load: nginx's workers have lost theirs when they open
/// their upstream sockets.
#[test]
fn a_program_that_empties_its_environment_keeps_the_settings() {
    let script = "clearenv socket AF_INET SOCK_STREAM 0 show";
    assert_eq!(last_line(&preloaded(&SETTINGS, script)), SET);
}

#[test]
fn a_program_run_without_variables_gets_so_keepalive_and_the_kernels_timers() {
    let script = "socket AF_INET SOCK_STREAM 0 show";
    let expected = default().replace("SO_KEEPALIVE=0", "SO_KEEPALIVE=1");
    assert_eq!(last_line(&support::stdout(&mut preloaded_command(&[], script))), expected);
}
