//! Programs that load, look up and unload at run time.

use crate::support::{compile, host, is_musl, library, stdout};
use crate::{SERVED, UNSERVED, with, without};

/// What tests/hosts/namespaces.c prints when sockets of the program's own have these options.
/// Three ways lead past a preload, and always will: RTLD_DEEPBIND prefers a plugin's own
/// libraries, dlmopen(3) starts an empty namespace, and a library that is loaded twice is
/// reached by its handle alone.
fn report(options: &str) -> String {
    let deepbind = format!("RTLD_DEEPBIND: {UNSERVED}\n");
    let namespaces = format!(
        "a namespace without the library: {UNSERVED}\n\
         a namespace with the library: {SERVED}\n\
         after dlmopen: {options}\n"
    );
    let (deepbind, namespaces) =
        if is_musl() { (String::new(), String::new()) } else { (deepbind, namespaces) };
    format!(
        "the program's own: {options}\n\
         RTLD_DEFAULT: {options}\n\
         RTLD_NEXT: {options}\n\
         dlopen: {options}\n\
         {deepbind}\
         the library's: {SERVED}\n\
         after dlclose: {options}\n\
         {namespaces}\
         leaked=0\n"
    )
}

#[test]
fn every_way_to_find_socket_works() {
    let program = host("namespaces");
    let plugin = compile("plugin", &["-shared", "-fPIC"]);
    assert_eq!(stdout(without(&program).arg(library()).arg(&plugin)), report(UNSERVED));
    assert_eq!(stdout(with(&program).arg(library()).arg(&plugin)), report(SERVED));
}
