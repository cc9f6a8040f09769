#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "plugins/smtp/client_session.h"

namespace {

using opensend::smtp_plugin::ClientSession;
using opensend::smtp_plugin::Outcome;
using opensend::smtp_plugin::SessionOptions;
using opensend::smtp_plugin::TlsMode;
using opensend::smtp_plugin::Transaction;
using opensend::smtp_plugin::Want;

constexpr size_t kMaxOutput = 1 << 20;
constexpr size_t kMaxMessages = 20;

void Require(bool condition) {
    if (!condition) std::abort();
}

}  // namespace

/// The first byte picks options and fragment size; the rest is what the server says.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 1) return 0;
    SessionOptions options;
    options.tls = static_cast<TlsMode>(1 + (data[0] & 3u));
    if ((data[0] & 4u) != 0) {
        options.username = "user";
        options.password = "password";
        options.may_auth_in_clear = true;
    }
    const size_t fragment = 1 + (data[0] >> 3);
    const auto* text = static_cast<const char*>(static_cast<const void*>(data + 1));
    std::string_view input(text, size - 1);

    ClientSession session(options);
    Transaction messages[kMaxMessages];
    size_t begun = 0;
    size_t output = 0;
    while (session.want() != Want::kClosed) {
        if (session.want() == Want::kTls) session.OnTls();
        if (session.want() == Want::kIdle) {
            if (begun == kMaxMessages) break;
            Transaction& message = messages[begun++];
            message.mail_from = "s@example.com";
            message.rcpts = {"a@example.com", "b@example.com"};
            message.data = "Subject: x\r\n\r\n.\r\nhello";
            message.Rewind();
            session.Begin(message);
        }
        output += session.pending().size();
        session.Wrote(session.pending().size());
        if (input.empty()) break;
        session.OnBytes(input.substr(0, fragment));
        input.remove_prefix(input.size() < fragment ? input.size() : fragment);
    }
    session.OnClosed("end");
    Require(output < kMaxOutput);
    Require(session.preamble().size() <= 8192);
    for (size_t i = 0; i < begun; ++i) {
        Require(messages[i].transcript.size() <= opensend::smtp_plugin::kMaxTranscript);
        for (const auto& verdict : messages[i].verdicts) {
            Require(!messages[i].finished || verdict.outcome != Outcome::kOpen);
        }
    }
    return 0;
}
