#include "kernel/mime/dkim.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "kernel/base/check.h"
#include "kernel/base/encoding.h"
#include "kernel/base/text.h"
#include "kernel/crypto/digest.h"

namespace opensend::mime {

namespace {

constexpr size_t kDkimLine = 76;
constexpr size_t kSignatureGroup = 72;

enum class SignRule { kAlwaysPlusOne = 1, kPresentPlusOne, kPresent };

struct SignedField {
    std::string_view name;
    SignRule rule;
};

constexpr SignedField kSignedFields[] = {
    {"from",                      SignRule::kAlwaysPlusOne },
    {"to",                        SignRule::kAlwaysPlusOne },
    {"cc",                        SignRule::kAlwaysPlusOne },
    {"subject",                   SignRule::kAlwaysPlusOne },
    {"date",                      SignRule::kAlwaysPlusOne },
    {"message-id",                SignRule::kAlwaysPlusOne },
    {"reply-to",                  SignRule::kAlwaysPlusOne },
    {"mime-version",              SignRule::kAlwaysPlusOne },
    {"content-type",              SignRule::kAlwaysPlusOne },
    {"list-unsubscribe",          SignRule::kPresentPlusOne},
    {"list-unsubscribe-post",     SignRule::kPresentPlusOne},
    {"in-reply-to",               SignRule::kPresent       },
    {"references",                SignRule::kPresent       },
    {"list-id",                   SignRule::kPresent       },
    {"feedback-id",               SignRule::kPresent       },
    {"content-transfer-encoding", SignRule::kPresent       },
};

bool IsWsp(char c) { return c == ' ' || c == '\t'; }

/// Unfolded, blank runs as one space, none at the ends.
void AppendRelaxedValue(std::string& out, std::string_view value) {
    const size_t start = out.size();
    bool pending = false;
    for (const char c : value) {
        if (IsWsp(c) || c == '\r' || c == '\n') {
            pending = true;
            continue;
        }
        if (pending && out.size() > start) out += ' ';
        pending = false;
        out += c;
    }
}

void AppendRelaxedLine(std::string& out, std::string_view line) {
    bool pending = false;
    for (const char c : line) {
        if (IsWsp(c)) {
            pending = true;
            continue;
        }
        if (pending) out += ' ';
        pending = false;
        out += c;
    }
}

struct FieldView {
    std::string_view name;
    std::string_view value;  // behind the colon, folds included
};

/// Takes the header apart; `body` is what follows the empty line.
std::vector<FieldView> ReadFields(std::string_view message, std::string_view& body) {
    std::vector<FieldView> fields;
    fields.reserve(24);
    size_t at = 0;
    while (at < message.size()) {
        size_t end = std::min(message.find("\r\n", at), message.size());
        if (end == at) {
            at += 2;
            break;
        }
        while (end + 2 < message.size() && IsWsp(message[end + 2])) {
            end = std::min(message.find("\r\n", end + 2), message.size());
        }
        const auto field = message.substr(at, end - at);
        const auto colon = std::min(field.find(':'), field.size());
        fields.push_back({field.substr(0, colon), field.substr(std::min(colon + 1, field.size()))});
        at = std::min(end + 2, message.size());
    }
    body = message.substr(std::min(at, message.size()));
    return fields;
}

/// What all keys share: names for h=, canonical fields in that order, the body hash.
struct SignedContent {
    std::vector<std::string_view> names;
    std::string fields;
    std::string body_hash;
};

SignedContent Collect(std::string_view message) {
    SignedContent content;
    std::string_view body;
    const auto fields = ReadFields(message, body);
    content.names.reserve(32);
    content.fields.reserve(2048);
    for (const auto& wanted : kSignedFields) {
        size_t present = 0;
        // The last instance is signed first: that is the order a verifier takes them in.
        for (auto field = fields.rbegin(); field != fields.rend(); ++field) {
            if (!base::EqualsIgnoreCase(base::Trim(field->name), wanted.name)) continue;
            ++present;
            content.names.push_back(wanted.name);
            content.fields += wanted.name;
            content.fields += ':';
            AppendRelaxedValue(content.fields, field->value);
            content.fields += "\r\n";
        }
        const bool one_more = wanted.rule == SignRule::kAlwaysPlusOne ||
                              (wanted.rule == SignRule::kPresentPlusOne && present > 0);
        if (one_more) content.names.push_back(wanted.name);
    }
    content.body_hash = base::Base64Encode(crypto::Sha256(RelaxedBody(body)));
    return content;
}

/// Tags of one line after another; a tag that does not fit moves to a line of its own.
class TagLines {
public:
    explicit TagLines(std::string_view start) : out_(start), column_(start.size()) {}

    void NewLine() {
        out_ += "\r\n ";
        column_ = 1;
    }
    void Tag(std::string_view text) {
        if (column_ > 1) {
            if (column_ + 1 + text.size() > kDkimLine) {
                NewLine();
            } else {
                out_ += ' ';
                ++column_;
            }
        }
        out_ += text;
        column_ += text.size();
    }
    void Names(const std::vector<std::string_view>& names) {
        out_ += "h=";
        column_ += 2;
        for (size_t i = 0; i < names.size(); ++i) {
            if (column_ + names[i].size() + 1 > kDkimLine) {
                out_ += "\r\n  ";
                column_ = 2;
            }
            out_ += names[i];
            out_ += i + 1 == names.size() ? ';' : ':';
            column_ += names[i].size() + 1;
        }
    }
    std::string Finish() && { return std::move(out_); }

private:
    std::string out_;
    size_t column_;
};

std::string FieldWithoutSignature(
    const SignedContent& content, const DkimKey& key, base::Time now, base::Duration lifetime
) {
    const bool is_rsa = key.key->kind() == crypto::SigningKey::Kind::kRsa;
    TagLines lines("DKIM-Signature:");
    lines.Tag("v=1;");
    lines.Tag(is_rsa ? "a=rsa-sha256;" : "a=ed25519-sha256;");
    lines.Tag("c=relaxed/relaxed;");
    lines.NewLine();
    lines.Tag(base::Cat("d=", key.domain, ";"));
    lines.Tag(base::Cat("s=", key.selector, ";"));
    lines.NewLine();
    lines.Tag(base::Cat("t=", now.Seconds(), ";"));
    if (lifetime > base::Duration::zero()) {
        lines.Tag(base::Cat("x=", (now + lifetime).Seconds(), ";"));
    }
    lines.Tag(base::Cat("i=@", key.domain, ";"));
    lines.NewLine();
    lines.Names(content.names);
    lines.NewLine();
    lines.Tag(base::Cat("bh=", content.body_hash, ";"));
    lines.NewLine();
    lines.Tag("b=");
    return std::move(lines).Finish();
}

}  // namespace

std::string RelaxedHeader(std::string_view name, std::string_view value) {
    std::string out = base::AsciiLower(base::Trim(name));
    out += ':';
    AppendRelaxedValue(out, value);
    return out;
}

std::string RelaxedBody(std::string_view body) {
    std::string out;
    out.reserve(body.size() + 2);
    size_t empty_lines = 0;
    while (!body.empty()) {
        const size_t end = body.find("\r\n");
        const auto line = body.substr(0, end);
        body.remove_prefix(end == std::string_view::npos ? body.size() : end + 2);
        if (line.find_first_not_of(" \t") == std::string_view::npos) {
            ++empty_lines;
            continue;
        }
        // Empty lines count only when text follows.
        for (; empty_lines > 0; --empty_lines) out += "\r\n";
        AppendRelaxedLine(out, line);
        out += "\r\n";
    }
    return out;
}

std::string DkimSign(
    std::string_view message,
    const std::vector<DkimKey>& keys,
    base::Time now,
    base::Duration lifetime
) {
    const SignedContent content = Collect(message);
    std::string out;
    for (const auto& key : keys) {
        OPENSEND_CHECK(key.key != nullptr, "a DKIM key without its private part");
        std::string field = FieldWithoutSignature(content, key, now, lifetime);
        const std::string_view value = std::string_view(field).substr(field.find(':') + 1);
        const std::string input = content.fields + RelaxedHeader("dkim-signature", value);
        const std::string signature = base::Base64Encode(key.key->SignDkim(input));
        for (size_t at = 0; at < signature.size(); at += kSignatureGroup) {
            if (at > 0) field += "\r\n ";
            field += signature.substr(at, kSignatureGroup);
        }
        field += "\r\n";
        out.insert(0, field);
    }
    return out;
}

}  // namespace opensend::mime
