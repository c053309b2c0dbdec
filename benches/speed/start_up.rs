//! The time that a preload adds to every start of a program.

use std::error::Error;
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::ptr::{null, null_mut};
use std::time::Instant;

use crate::table::{self, Panel, Row, median};
use crate::{Candidate, Effort, SETTINGS, support};

const PROGRAM: &str = "/bin/true";

/// The result of the starts with one preload.
#[derive(Default)]
struct Samples {
    elapsed: Vec<f64>,
    cpu: Vec<f64>,
    page_faults: Vec<f64>,
}

/// One start: microseconds by the clock, microseconds of processor time, page faults.
struct Start {
    elapsed: f64,
    cpu: f64,
    page_faults: f64,
}

/// Starts a program behind each of them in turn, and behind libraries that do nothing.
pub fn compare(
    printed: &mut String,
    preloads: &[Candidate],
    effort: &Effort,
) -> Result<Panel, Box<dyn Error>> {
    let without = Candidate::nothing("no preload");
    // Two segments, no protection, no symbol, no code: hardly any library can cost less.
    let smallest = "-Wl,-z,norelro,-z,noseparate-code,--build-id=none,--hash-style=gnu";
    let floor = empty("the smallest empty library", &["-nostdlib", smallest])?;
    let as_usual = empty("an empty library, linked as usual", &[])?;
    let candidates: Vec<_> = [&without, &floor, &as_usual].into_iter().chain(preloads).collect();
    let environments =
        candidates.iter().map(|candidate| environment(candidate)).collect::<Result<Vec<_>, _>>()?;

    let mut samples: Vec<Samples> = candidates.iter().map(|_| Samples::default()).collect();
    let mut order: Vec<_> = (0..candidates.len()).collect();
    for _ in 0..effort.starts {
        fastrand::shuffle(&mut order);
        for &which in &order {
            let start = start(&environments[which])?;
            samples[which].elapsed.push(start.elapsed);
            samples[which].cpu.push(start.cpu);
            samples[which].page_faults.push(start.page_faults);
        }
    }

    let medians: Vec<_> = samples
        .iter()
        .map(|samples| Start {
            elapsed: median(&samples.elapsed),
            cpu: median(&samples.cpu),
            page_faults: median(&samples.page_faults),
        })
        .collect();
    let [nothing, floor] = [&medians[0], &medians[1]];
    let rows: Vec<_> = candidates
        .iter()
        .zip(&medians)
        .map(|(candidate, start)| {
            let elapsed = start.elapsed - nothing.elapsed;
            let cpu = start.cpu - nothing.cpu;
            vec![
                candidate.name.clone(),
                format!("{:.0}", start.elapsed),
                format!("{elapsed:+.1}"),
                format!("{:.2}", elapsed / (floor.elapsed - nothing.elapsed)),
                format!("{cpu:+.1}"),
                format!("{:.2}", cpu / (floor.cpu - nothing.cpu)),
                format!("{:+.0}", start.page_faults - nothing.page_faults),
            ]
        })
        .collect();
    let title = format!("Start-up: {PROGRAM}, {} starts each", effort.starts);
    let header =
        ["", "µs", "added", "× smallest", "CPU µs added", "× smallest", "page faults added"];
    table::print(printed, &title, &header, &rows);

    let rows = candidates.iter().zip(&medians).skip(1);
    let rows = rows
        .map(|(candidate, start)| Row {
            name: candidate.name.clone(),
            value: start.cpu - nothing.cpu,
        })
        .collect();
    let title = format!("Added to each start of {PROGRAM}");
    Ok(Panel { title, unit: "µs of CPU time", rows })
}

/// A library from an empty source.
fn empty(name: &str, link: &[&str]) -> io::Result<Candidate> {
    let library = support::scratch("empty.so");
    support::run(
        Command::new("cc")
            .args(["-shared", "-fPIC", "-x", "c", "/dev/null", "-o"])
            .arg(&library)
            .args(link),
    );
    Candidate::new(name, &library)
}

/// The same for every candidate, except LD_PRELOAD.
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

/// From before posix_spawn(3), which copies no page tables, to the end of the process. Processor
/// time is the process's own: other programs do not count.
fn start(environment: &[CString]) -> io::Result<Start> {
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
    let elapsed = begin.elapsed().as_secs_f64() * 1e6;

    if status != 0 {
        return Err(io::Error::other(format!("{PROGRAM}: wait status {status}")));
    }
    let microseconds = |time: libc::timeval| time.tv_sec as f64 * 1e6 + time.tv_usec as f64;
    let cpu = microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
    Ok(Start { elapsed, cpu, page_faults: usage.ru_minflt as f64 })
}
