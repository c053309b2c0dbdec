//! What is set in the network namespaces of processes: each has values of the kernel's own.

use std::rc::Rc;

use crate::process::{Namespace, Namespaces, Process};
use crate::settings::{EffectiveSettings, RequestedSettings, Settings};
use crate::sys::kernel::Kernel;

/// What is set in a network namespace.
pub struct InNamespace {
    /// A process of it; None if it is this process's own and no other's.
    process: Option<Process>,
    /// The kernel's own values there.
    pub kernel: Kernel,
    pub settings: Settings,
}

/// The kernel's own values in a network namespace. One that may not be entered most likely has this
/// process's.
pub fn kernel_of(namespace: &Namespace) -> Kernel {
    namespace.kernel.as_ref().copied().unwrap_or_else(|_| Kernel::own())
}

/// What is set in each network namespace of these processes; in this process's own if there are none.
pub fn resolve<'a>(
    requested: &RequestedSettings,
    processes: impl IntoIterator<Item = &'a Process>,
) -> Vec<InNamespace> {
    let mut namespaces = Namespaces::default();
    let mut seen: Vec<Rc<Namespace>> = Vec::new();
    let mut resolved = Vec::new();
    for process in processes {
        // Whoever looks at its sockets says why it may not be looked into.
        let Ok(namespace) = process.with(|process| namespaces.get(process)) else { continue };
        if seen.iter().any(|it| Rc::ptr_eq(it, &namespace)) {
            continue;
        }
        let kernel = kernel_of(&namespace);
        let settings = requested.resolve(&kernel);
        resolved.push(InNamespace { process: Some(process.clone()), kernel, settings });
        seen.push(namespace);
    }
    if resolved.is_empty() {
        let kernel = Kernel::own();
        resolved.push(InNamespace { process: None, kernel, settings: requested.resolve(&kernel) });
    }
    resolved
}

/// A line for each network namespace; one for all if they have the same. `dead_after`: as in
/// [`EffectiveSettings::describe_covered`].
pub fn describe(resolved: &[InNamespace], dead_after: Option<u32>) -> Vec<String> {
    let describe = |it: &InNamespace| {
        EffectiveSettings::from(it.settings).describe_covered(&it.kernel, dead_after)
    };
    let mut described: Vec<(String, Option<&Process>)> = Vec::new();
    for it in resolved {
        let text = describe(it);
        if !described.iter().any(|(known, _)| *known == text) {
            described.push((text, it.process.as_ref()));
        }
    }
    let is_one = described.len() == 1;
    let line = |(text, process): (String, Option<&Process>)| match process {
        Some(process) if !is_one => {
            format!("Settings in the network namespace of {process}: {text}")
        }
        _ => format!("Settings: {text}"),
    };
    described.into_iter().map(line).collect()
}
