//! Data in flight on connections that are open when a cover begins or ends: a walk over the sockets
//! of the cgroup's processes.

use std::io;
use std::path::Path;

use options::{RTO_MAX, USER_TIMEOUT};

use super::{Covered, print_or_report};
use crate::apply::namespaces::kernel_of;
use crate::bpf::{self, Maker};
use crate::find::{Cgroup, Target};
use crate::process::{self, Duplicate, Namespaces, OpenProcess, Options, left_out};
use crate::text::report_error;
use crate::worker::{self, Sender, Worker, is_put_off, is_unasked, put_hung_socket_last};

/// Takes back what a cover that is gone has set on connections whose peers are silent now. Whether
/// all was done.
pub fn release(cgroup: &Path) -> bool {
    each_socket(cgroup, |namespaces, process, socket| {
        let Ok(Options { values, .. }) = socket.options() else { return Ok(()) };
        if values.user_timeout.is_some_and(bpf::is_user_timeout) {
            socket.set(&USER_TIMEOUT, 0)?;
        }
        if values.rto_max.is_some_and(bpf::is_pace) {
            let default = kernel_of(&*namespaces.get(process)?).defaults.rto_max;
            socket.set(&RTO_MAX, default.unwrap_or(RTO_MAX.max))?;
        }
        Ok(())
    })
}

/// Has the cover bound data in flight on connections that are open already. Whether all was done.
pub fn take_over(covered: &Covered, maker: &Maker) -> bool {
    let Some(_link) = maker.taking_over(&covered.cgroup) else {
        return print_or_report(&format!(
            "{}: on connections that are open now, data in flight is left to the kernel (Linux 6.12 \
             and later can change that)\n",
            covered.target
        ));
    };
    each_socket(&covered.cgroup, |_, _, socket| {
        // The program has done its work by the time the kernel refuses the option.
        let _ = socket.set_number(bpf::TAKE_OVER, 0);
        Ok(())
    })
}

/// Does something with each socket of a cgroup's processes. Whether all was done.
fn each_socket(
    cgroup: &Path,
    work: impl Fn(&mut Namespaces, &OpenProcess, &Duplicate) -> io::Result<()>,
) -> bool {
    let mut worker = Worker::default();
    let is_done = walk(cgroup, &mut worker, work).unwrap_or_else(|error| {
        report_error(error);
        false
    });
    left_out(&worker).iter().for_each(report_error);
    is_done && worker.unasked().is_empty()
}

fn walk(
    cgroup: &Path,
    worker: &mut Worker,
    work: impl Fn(&mut Namespaces, &OpenProcess, &Duplicate) -> io::Result<()>,
) -> Result<bool, worker::Error> {
    let processes = match Target::Cgroup(Cgroup::Path(cgroup.to_owned())).find() {
        Ok(processes) => processes,
        Err(message) => {
            report_error(message);
            return Ok(false);
        }
    };
    // What came of each process.
    let mut ends: Vec<Option<Option<process::Error>>> = processes.iter().map(|_| None).collect();
    worker.run(
        &mut ends,
        None,
        |ends, sender: &Sender<(usize, Option<process::Error>)>| {
            let mut namespaces = Namespaces::default();
            let mut left: Vec<_> = processes.iter().enumerate().collect();
            left.retain(|(index, process)| ends[*index].is_none() && !is_unasked(process.id()));
            left.sort_by_key(|(_, process)| is_put_off(process.pid));
            for (index, process) in left {
                let result = process.with(|target| {
                    let mut sockets = target.sockets()?;
                    put_hung_socket_last(process.id(), &mut sockets);
                    for (fd, inode) in sockets {
                        // Otherwise it was closed meanwhile.
                        if let Ok(socket) = Duplicate::open(target, fd, inode) {
                            work(&mut namespaces, target, &socket)?;
                        }
                    }
                    Ok(())
                });
                sender.send(&(index, result.err()));
            }
        },
        |ends, (index, end)| ends[index] = Some(end),
    )?;
    let mut is_complete = true;
    for (process, end) in processes.iter().zip(ends) {
        if let Some(Some(error)) = end
            && error != process::Error::Ended
        {
            report_error(format!("{process}: {error}"));
            is_complete = false;
        }
    }
    Ok(is_complete)
}
