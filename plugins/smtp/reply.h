#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace opensend::smtp_plugin {

inline constexpr size_t kMaxReplyLines = 100;
inline constexpr size_t kMaxReplyLine = 2000;  // octets, line end included

/// One server reply. `text` has the lines without their codes, joined by LF.
struct Reply {
    int code = 0;
    std::array<uint16_t, 3> enhanced{};  // zeros: none was given
    std::string text;
};

enum class ReplyState { kIncomplete = 1, kComplete, kMalformed };

/// Assembles replies from bytes in any fragmentation; holds at most one line and one reply.
class ReplyParser {
public:
    /// Consumes from the front of `input` up to the end of one reply. kComplete: reply() is it, and
    /// the next call starts another. kMalformed: problem() says why; only Reset() helps.
    [[nodiscard]] ReplyState Feed(std::string_view& input);

    void Reset();

    [[nodiscard]] const Reply& reply() const { return reply_; }
    [[nodiscard]] const std::string& problem() const { return problem_; }
    /// True between replies: no part of one has been seen.
    [[nodiscard]] bool is_empty() const { return lines_ == 0 && line_.empty(); }

private:
    enum class LineKind { kLast = 1, kMore, kBad };
    LineKind TakeLine(std::string_view line);
    ReplyState Malformed(std::string_view why);

    Reply reply_;
    std::string line_;
    std::string problem_;
    size_t lines_ = 0;
    bool complete_ = false;
    bool broken_ = false;
};

/// The class.subject.detail code at the start of `text`, zeros when there is none or when its class
/// contradicts `code`.
[[nodiscard]] std::array<uint16_t, 3> ParseEnhanced(int code, std::string_view text);

}  // namespace opensend::smtp_plugin
