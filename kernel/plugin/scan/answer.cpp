#include "kernel/plugin/scan/answer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <system_error>

#include "kernel/plugin/load/descriptor.h"

namespace opensend::plugin {
namespace {

constexpr std::string_view kGoodAnswer = "good\n";
constexpr std::string_view kRefusedAnswer = "refused\n";
constexpr size_t kMaxPart = 1000;

std::string OneLine(std::string_view text) {
    std::string out(text.substr(0, kMaxPart));
    std::replace_if(
        out.begin(), out.end(), [](unsigned char c) { return c < ' ' || c == 127; }, ' '
    );
    return out;
}

}  // namespace

std::string AnswerText(const std::optional<Problem>& problem) {
    if (!problem) return std::string(kGoodAnswer);
    return base::Cat(
        kRefusedAnswer, OneLine(problem->step), '\n', OneLine(problem->expected), '\n',
        OneLine(problem->found), '\n'
    );
}

std::optional<std::optional<Problem>> ParseAnswer(std::string_view text) {
    if (text == kGoodAnswer) return std::optional<Problem>();
    if (text.size() > kMaxScanAnswer || text.substr(0, kRefusedAnswer.size()) != kRefusedAnswer)
        return std::nullopt;
    const auto lines = base::Split(text.substr(kRefusedAnswer.size()), '\n');
    if (lines.size() != 4 || !lines[3].empty() || lines[0].empty()) return std::nullopt;
    return Problem{OneLine(lines[0]), OneLine(lines[1]), OneLine(lines[2])};
}

std::optional<std::optional<Problem>> RecallVerdict(const std::string& path) {
    const Descriptor file(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    struct stat status {};
    if (file.get() < 0 || fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
    const bool ours = status.st_uid == 0 || status.st_uid == geteuid();
    if (!ours || (status.st_mode & 022u) != 0) return {};
    std::array<char, kMaxScanAnswer> buffer{};
    const ssize_t size = read(file.get(), buffer.data(), buffer.size());
    if (size <= 0) return {};
    return ParseAnswer({buffer.data(), static_cast<size_t>(size)});
}

void RememberVerdict(const std::string& path, const std::optional<Problem>& problem) {
    const std::filesystem::path target(path);
    std::error_code failed;
    std::filesystem::create_directories(target.parent_path(), failed);
    const std::string text = AnswerText(problem);
    const std::string draft = base::Cat(path, ".", getpid());
    bool written = false;
    {
        const Descriptor file(
            open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644)
        );
        if (file.get() < 0) return;
        written = write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
    }
    if (written) std::filesystem::rename(draft, target, failed);
    if (!written || failed) std::filesystem::remove(draft, failed);
}

}  // namespace opensend::plugin
