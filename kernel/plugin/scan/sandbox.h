#pragma once

namespace opensend::plugin {

/// Narrows this process to what loading a shared object takes: files are only read, no socket, no
/// other program or process, bounded memory and time. False: the kernel does not do it.
bool EnterScanSandbox();

}  // namespace opensend::plugin
