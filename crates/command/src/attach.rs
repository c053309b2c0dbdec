//! show
pub fn attach(_: &crate::cli::AttachArgs) -> std::process::ExitCode {
    todo!()
}
