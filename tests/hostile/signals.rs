//! A signal handler that opens sockets.

use crate::support::{host, stdout};
use crate::{figure, with, without};

/// Signals to be handled in each activity.
const SIGNALS: u64 = 7000;

#[test]
fn a_handler_on_a_small_stack_opens_sockets_whatever_it_interrupts() {
    let program = host("signals");
    let before = stdout(without(&program).arg("100"));
    assert!(figure(&before, "wrong_option") > 100, "{before}");
    assert_eq!(figure(&before, "wrong_errno"), 0);

    for debug in [false, true] {
        let mut command = with(&program);
        if debug {
            command.env("KEEPALIVE_DEBUG", "1");
        }
        let (report, _) = crate::support::run(command.arg(SIGNALS.to_string()));
        assert_eq!(figure(&report, "wrong_option"), 0, "{report}");
        assert_eq!(figure(&report, "wrong_errno"), 0, "{report}");
        for interrupted in ["malloc", "dlsym", "socket"] {
            assert!(figure(&report, interrupted) >= SIGNALS, "{interrupted}: {report}");
        }
        print!("debug {debug}: {report}");
    }
}
