#include <unistd.h>

#include <optional>

#include "kernel/plugin/load/loader.h"
#include "kernel/plugin/scan/answer.h"
#include "kernel/plugin/scan/sandbox.h"
#include "kernel/plugin/scan/scan.h"

namespace opensend::plugin {
namespace {

constexpr int kScannedFd = 3, kReplyFd = 4;

std::optional<Problem> LoadOnce() {
    const auto file = TakeDescriptor(kScannedFd);
    if (!file.ok()) return file.error();
    if (!EnterScanSandbox()) return Problem{"scan", "a sandbox for the first load", "none here"};
    const auto loaded = Load(**file);
    if (!loaded.ok()) return loaded.error();
    return std::nullopt;
}

}  // namespace

void ScanMain() {
    const std::string text = AnswerText(LoadOnce());
    const bool told =
        write(kReplyFd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    // Without the plugin's own ideas of an end.
    _exit(told ? 0 : 1);
}

}  // namespace opensend::plugin
