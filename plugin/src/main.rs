//! The binary `kubectl-asm`: everything happens in the library of the same name.

use std::process::ExitCode;

fn main() -> ExitCode {
    kubectl_asm::run(std::env::args_os())
}
