//! The time that a preload adds to every start of a program.

use std::error::Error;
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::ptr::{null, null_mut};
use std::time::Instant;

use crate::table::{self, Panel, Row, median};
use crate::{Candidate, Effort, SETTINGS, support};

const PROGRAM: &str = "/bin/true";

/// What came of the starts with one preload.
#[derive(Default)]
struct Samples {
    microseconds: Vec<f64>,
    cpu: Vec<f64>,
    page_faults: Vec<f64>,
}

/// Starts a program behind each of them in turn, and behind libraries that do nothing: the floor.
pub fn compare(preloads: &[Candidate], effort: &Effort) -> Result<Panel, Box<dyn Error>> {
    let empty = |name: &str, arguments: &[&str]| {
        let arguments = [&["-shared", "-fPIC"], arguments].concat();
        Candidate::new(name, &support::compile("empty", &arguments))
    };
    let nothing = Candidate::nothing("no preload");
    // One segment, no protection, no symbol: no library can cost less.
    let floor = empty(
        "an empty library",
        &["-nostdlib", "-Wl,-z,norelro,-z,noseparate-code,--build-id=none,--hash-style=gnu"],
    )?;
    let candidates: Vec<_> = [&nothing, &floor].into_iter().chain(preloads).collect();
    let environments =
        candidates.iter().map(|candidate| environment(candidate)).collect::<Result<Vec<_>, _>>()?;

    let mut samples: Vec<Samples> = candidates.iter().map(|_| Samples::default()).collect();
    let mut order: Vec<_> = (0..candidates.len()).collect();
    for _ in 0..effort.starts {
        fastrand::shuffle(&mut order);
        for &which in &order {
            let (microseconds, cpu, page_faults) = start(&environments[which])?;
            samples[which].microseconds.push(microseconds);
            samples[which].cpu.push(cpu);
            samples[which].page_faults.push(page_faults);
        }
    }

    let time = |which: usize| median(&samples[which].microseconds);
    let added = |which: usize| time(which) - time(0);
    let cpu = |which: usize| median(&samples[which].cpu) - median(&samples[0].cpu);
    let faults =
        |which: usize| median(&samples[which].page_faults) - median(&samples[0].page_faults);
    let rows: Vec<_> = (0..candidates.len())
        .map(|which| {
            vec![
                candidates[which].name.clone(),
                format!("{:.1}", time(which)),
                format!("{:+.1}", added(which)),
                format!("{:.2}", added(which) / added(1)),
                format!("{:+.1}", cpu(which)),
                format!("{:.2}", cpu(which) / cpu(1)),
                format!("{:+.0}", faults(which)),
            ]
        })
        .collect();
    let title = format!("Start-up: {PROGRAM}, {} starts each", effort.starts);
    table::print(
        &title,
        &["", "µs", "added", "× empty library", "CPU added", "× empty library", "page faults"],
        &rows,
    );

    let rows = (1..candidates.len())
        .map(|which| Row { name: candidates[which].name.clone(), value: added(which) })
        .collect();
    Ok(Panel { title: format!("added to each start of {PROGRAM}"), unit: "µs", rows })
}

/// The same for everybody, but for LD_PRELOAD.
fn environment(candidate: &Candidate) -> Result<Vec<CString>, std::ffi::NulError> {
    let mut environment = SETTINGS
        .iter()
        .map(|(name, value)| CString::new(format!("{name}={value}")))
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(preload) = &candidate.preload {
        environment.push(CString::new([b"LD_PRELOAD=", preload.as_os_str().as_bytes()].concat())?);
    }
    Ok(environment)
}

/// From before posix_spawn(3), which copies no page tables, to the end of the process: how many
/// microseconds, and how many page faults.
fn start(environment: &[CString]) -> io::Result<(f64, f64, f64)> {
    let program = CString::new(PROGRAM)?;
    let arguments = [program.as_ptr().cast_mut(), null_mut()];
    let environment: Vec<_> =
        environment.iter().map(|text| text.as_ptr().cast_mut()).chain([null_mut()]).collect();
    let mut child = 0;
    let mut status = 0;
    // SAFETY: all zeros is a `rusage`.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };

    let begin = Instant::now();
    // SAFETY: the program's path, and two arrays of strings that end in null, outlive the call.
    let error = unsafe {
        libc::posix_spawn(
            &mut child,
            program.as_ptr(),
            null(),
            null(),
            arguments.as_ptr(),
            environment.as_ptr(),
        )
    };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    // SAFETY: our own child; both places outlive the call.
    if unsafe { libc::wait4(child, &mut status, 0, &mut usage) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let microseconds = begin.elapsed().as_secs_f64() * 1e6;

    if status != 0 {
        return Err(io::Error::other(format!("{PROGRAM}: wait status {status}")));
    }
    let cpu = |time: libc::timeval| time.tv_sec as f64 * 1e6 + time.tv_usec as f64;
    Ok((microseconds, cpu(usage.ru_utime) + cpu(usage.ru_stime), usage.ru_minflt as f64))
}
