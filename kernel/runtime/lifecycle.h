#pragma once

#include <functional>
#include <string_view>

namespace opensend::runtime {

/// Before any thread starts: SIGTERM, SIGINT and SIGHUP wait for WaitForStop, SIGPIPE is ignored.
void BlockSignals();

/// Waits for SIGTERM or SIGINT; `on_hangup` runs here for each SIGHUP. From its return on a second
/// SIGTERM or SIGINT ends the process at once with 130.
void WaitForStop(const std::function<void()>& on_hangup);

/// Core dumps hold secrets: they are off, and other processes of the user cannot read this one's
/// memory, unless `allow_core_dumps`.
void ProtectMemory(bool allow_core_dumps);

/// "READY=1", "STOPPING=1", "WATCHDOG=1" to systemd. False when nobody listens.
bool NotifySystemd(std::string_view state);

}  // namespace opensend::runtime
