#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace opensend::smtp_plugin {

enum class Outcome {
    kOpen = 1,  // no verdict yet
    kAccepted,
    kDeferred,
    kRejected,
    kIndeterminate,
    kNotTried,
    kCancelled,
};
enum class Stage { kConnect = 1, kTls, kEhlo, kAuth, kMail, kRcpt, kData, kEnd };
/// What the plugin knows about the class of a failure beyond stage and code; kAuto: nothing.
enum class Hint { kAuto = 1, kTemporary, kAuthConfig, kProtocol };

struct Verdict {
    Outcome outcome = Outcome::kOpen;
    Stage stage = Stage::kConnect;
    Hint hint = Hint::kAuto;
    uint16_t code = 0;
    std::array<uint16_t, 3> enhanced{};
    std::string text;
};

inline constexpr size_t kMaxTranscript = 16 * 1024;

/// One message on its way: the views are the caller's and outlive it, the rest is filled by the
/// session. `verdicts` runs parallel to `rcpts`.
struct Transaction {
    std::string_view mail_from;
    std::vector<std::string_view> rcpts;
    std::string_view data;
    bool needs_tls = false;  // must not travel in clear, whatever the relay's own mode says

    std::vector<Verdict> verdicts;
    std::string transcript;
    bool finished = false;
    /// The connection ended before the server answered anything and before the body was sent, so
    /// that another connection may try again as if nothing had happened.
    bool untouched = false;

    // The session's own state.
    enum class Step : uint8_t { kReset = 1, kMail, kRcpt, kData, kDone };
    Step step = Step::kReset;
    bool replied = false;
    bool mail_ok = false;
    bool body_issued = false;
    bool needs_utf8 = false;
    bool has_8bit = false;
    size_t next_rcpt = 0;
    size_t accepted = 0;
    uint64_t body_end = 0;

    /// Back to before the first try; the views stay.
    void Rewind();
};

/// True when the address can stand between angle brackets in a command: valid UTF-8 of a sane
/// length without white space, control characters and brackets.
[[nodiscard]] bool IsSafeAddress(std::string_view address);
[[nodiscard]] bool IsAscii(std::string_view text);
[[nodiscard]] bool IsUtf8(std::string_view text);

struct EightBit {
    bool in_header = false;
    bool in_body = false;
};
[[nodiscard]] EightBit FindEightBit(std::string_view data);

/// Appends `data` as the content of DATA: every line ends with CRLF whatever ended it before, a
/// leading dot is doubled, and the final dot line closes it.
void AppendStuffed(std::string& out, std::string_view data);

/// Appends at most `limit` octets of `text` with what is not printable escaped.
void AppendPrintable(std::string& out, std::string_view text, size_t limit);

/// The queue id a server names in its final answer ("queued as X", "id=X"); empty without one.
[[nodiscard]] std::string_view FindQueueId(std::string_view text);

}  // namespace opensend::smtp_plugin
