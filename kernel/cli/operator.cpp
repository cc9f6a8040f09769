#include "kernel/cli/operator.h"

#include <unistd.h>

#include <iostream>

#include <termios.h>

#include "kernel/base/error.h"
#include "kernel/base/text.h"
#include "kernel/base/utf8.h"
#include "kernel/mime/idna.h"

namespace opensend::cli {
namespace {

constexpr size_t kMaxPasswordCharacters = 256;
constexpr size_t kMinTellingPart = 4;

std::string ReadLine() {
    std::string line;
    if (!std::getline(std::cin, line)) {
        throw base::Error(base::ErrorCode::kInvalidParameter, "no password was given");
    }
    if (!line.empty() && line.back() == '\r') line.pop_back();
    return line;
}

/// Keeps what is typed off the screen.
class Unseen {
public:
    Unseen() {
        ::tcgetattr(STDIN_FILENO, &before_);
        termios now = before_;
        now.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &now);
    }
    ~Unseen() {
        ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
        std::cerr << '\n';
    }
    Unseen(const Unseen&) = delete;
    Unseen& operator=(const Unseen&) = delete;

private:
    termios before_{};
};

std::string Ask(std::string_view prompt) {
    std::cerr << prompt << ": " << std::flush;
    const Unseen unseen;
    return ReadLine();
}

}  // namespace

access::AuditEntry OperatorEntry(
    const app::Storage& storage,
    const model::TenantId& tenant,
    std::string_view action,
    std::string_view target_type,
    std::string target_id,
    std::string metadata
) {
    access::AuditEntry entry;
    entry.tenant = tenant;
    entry.action = action;
    entry.target_type = target_type;
    entry.target_id = std::move(target_id);
    entry.actor = {"operator", std::nullopt, "operator"};
    entry.origin.source = "cli";
    entry.metadata = std::move(metadata);
    entry.time = storage.clock.Now();
    return entry;
}

base::Secret ReadNewPassword(size_t min, std::string_view email) {
    std::string text;
    if (::isatty(STDIN_FILENO) == 1) {
        text = Ask("New password");
        if (Ask("Again") != text) {
            throw base::Error(base::ErrorCode::kInvalidParameter, "the two passwords differ");
        }
    } else {
        text = ReadLine();
    }
    if (!base::IsUtf8(text)) {
        throw base::Error(base::ErrorCode::kInvalidParameter, "the password is not UTF-8");
    }
    text = mime::ToNfkc(text);
    size_t characters = 0;
    for (const char c : text) {
        if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) ++characters;
    }
    if (characters < min || characters > kMaxPasswordCharacters) {
        throw base::Error(
            base::ErrorCode::kInvalidParameter,
            base::Cat("a password has ", min, " to ", kMaxPasswordCharacters, " characters")
        );
    }
    const std::string local = base::AsciiLower(email.substr(0, email.rfind('@')));
    if (local.size() >= kMinTellingPart &&
        base::AsciiLower(text).find(local) != std::string::npos) {
        throw base::Error(
            base::ErrorCode::kInvalidParameter, "the password holds the name of the address"
        );
    }
    return base::Secret(std::move(text));
}

}  // namespace opensend::cli
