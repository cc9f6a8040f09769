#include "kernel/mime/dkim.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "kernel/base/encoding.h"
#include "kernel/base/text.h"
#include "kernel/crypto/digest.h"

namespace opensend::mime {
namespace {

/// The leaves of a trusted JSON file by dotted path: "signed.0.name".
class FlatJson {
public:
    explicit FlatJson(std::string text) : text_(std::move(text)) { Value(""); }

    const std::string& operator[](const std::string& path) const {
        static const std::string none = "(missing)";
        const auto it = leaves_.find(path);
        return it != leaves_.end() ? it->second : none;
    }
    bool Has(const std::string& path) const { return leaves_.count(path) > 0; }

private:
    void Blanks() {
        while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0)
            ++at_;
    }
    bool Take(char c) {
        Blanks();
        if (at_ >= text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }
    std::string Text() {
        std::string out;
        while (text_[at_] != '"') {
            char c = text_[at_++];
            if (c == '\\') {
                c = text_[at_++];
                const auto plain = std::string_view("nrt").find(c);
                if (plain != std::string_view::npos) c = "\n\r\t"[plain];
                // The file has no other escapes but those of ASCII characters.
                if (c == 'u') {
                    c = base::HexDecode(text_.substr(at_ + 2, 2)).value().front();
                    at_ += 4;
                }
            }
            out += c;
        }
        ++at_;
        return out;
    }
    void Value(const std::string& path) {
        const std::string prefix = path.empty() ? "" : path + ".";
        if (Take('{')) {
            while (!Take('}')) {
                Take(',');
                Take('"');
                const std::string name = Text();
                Take(':');
                Value(prefix + name);
            }
        } else if (Take('[')) {
            for (size_t i = 0; !Take(']'); ++i) {
                Value(prefix + std::to_string(i));
                Take(',');
            }
        } else if (Take('"')) {
            leaves_[path] = Text();
        } else {
            const size_t end = text_.find_first_of(",]} \n", at_);
            leaves_[path] = text_.substr(at_, end - at_);
            at_ = end;
        }
    }

    std::string text_;
    size_t at_ = 0;
    std::map<std::string, std::string> leaves_;
};

const FlatJson& Vector() {
    static const FlatJson json([] {
        std::ifstream file(OPENSEND_SOURCE_DIR "/tests/vectors/dkim.json", std::ios::binary);
        return std::string(std::istreambuf_iterator<char>(file), {});
    }());
    return json;
}

std::string Der(std::string pem) {
    pem = pem.substr(pem.find('\n') + 1);
    return base::Base64DecodeLenient(pem.substr(0, pem.find("-----"))).value();
}

crypto::SigningKey Key(const std::string& kind) {
    const base::Secret der(Der(Vector()["keys." + kind + ".private_key_test_only"]));
    return crypto::SigningKey::FromPkcs8(der).value();
}

std::string Signed(base::Duration lifetime) {
    const auto rsa = Key("rsa");
    const auto ed25519 = Key("ed25519");
    const std::string raw = Vector()["message.raw"];
    const std::vector<DkimKey> keys = {
        {Vector()["keys.domain"], Vector()["keys.rsa.selector"],     &rsa    },
        {Vector()["keys.domain"], Vector()["keys.ed25519.selector"], &ed25519},
    };
    return DkimSign(raw, keys, {1'767'225'600'000'000}, lifetime) + raw;
}

using PublicKey = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

PublicKey PublishedKey(const std::string& kind) {
    const std::string txt = Vector()["keys." + kind + ".dns_txt"];
    const std::string bytes = base::Base64Decode(txt.substr(txt.find("p=") + 2)).value();
    const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
    EVP_PKEY* key = kind == "rsa"
                        ? d2i_PUBKEY(nullptr, &at, static_cast<long>(bytes.size()))
                        : EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, at, bytes.size());
    return {key, EVP_PKEY_free};
}

struct Field {
    std::string name, value;
};

/// An independent reading of RFC 6376 for the test: the first signature of the given kind.
class Verifier {
public:
    explicit Verifier(const std::string& message) {
        size_t at = 0;
        while (message.compare(at, 2, "\r\n") != 0) {
            size_t end = message.find("\r\n", at);
            while (message[end + 2] == ' ' || message[end + 2] == '\t') {
                end = message.find("\r\n", end + 2);
            }
            const size_t colon = message.find(':', at);
            fields_.push_back(
                {message.substr(at, colon - at), message.substr(colon + 1, end - colon - 1)}
            );
            at = end + 2;
        }
        body_ = message.substr(at + 2);
    }

    bool Verify(const std::string& kind) const {
        for (const auto& field : fields_) {
            if (!base::EqualsIgnoreCase(field.name, "dkim-signature")) continue;
            if (field.value.find("a=" + kind) == std::string::npos) continue;
            const auto hash = base::Base64Encode(crypto::Sha256(RelaxedBody(body_)));
            return Tag(field.value, "bh") == hash && SignatureHolds(field, kind);
        }
        return false;
    }

private:
    static std::string Tag(const std::string& value, const std::string& name) {
        for (const auto part : base::Split(value, ';')) {
            const auto equals = part.find('=');
            if (base::Trim(part.substr(0, equals)) != name) continue;
            std::string out(part.substr(equals + 1));
            out.erase(
                std::remove_if(
                    out.begin(), out.end(), [](unsigned char c) { return std::isspace(c) != 0; }
                ),
                out.end()
            );
            return out;
        }
        return {};
    }

    bool SignatureHolds(const Field& field, const std::string& kind) const {
        auto left = fields_;
        std::string input;
        const std::string names = Tag(field.value, "h");
        for (const auto name : base::Split(names, ':')) {
            for (size_t i = left.size(); i-- > 0;) {
                if (!base::EqualsIgnoreCase(left[i].name, name)) continue;
                input += RelaxedHeader(left[i].name, left[i].value) + "\r\n";
                left.erase(left.begin() + static_cast<std::ptrdiff_t>(i));
                break;
            }
        }
        const std::string bare = field.value.substr(0, field.value.rfind("b=") + 2);
        input += RelaxedHeader(field.name, bare);
        const std::string signature = base::Base64Decode(Tag(field.value, "b")).value();
        const auto key = PublishedKey(kind);
        const bool is_rsa = kind == "rsa";
        if (!is_rsa) input = crypto::Sha256(input);
        const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(
            EVP_MD_CTX_new(), EVP_MD_CTX_free
        );
        EVP_DigestVerifyInit(
            context.get(), nullptr, is_rsa ? EVP_sha256() : nullptr, nullptr, key.get()
        );
        return EVP_DigestVerify(
                   context.get(), reinterpret_cast<const unsigned char*>(signature.data()),
                   signature.size(), reinterpret_cast<const unsigned char*>(input.data()),
                   input.size()
               ) == 1;
    }

    std::vector<Field> fields_;
    std::string body_;
};

TEST(Dkim, CanonicalFormsAreThoseOfTheVector) {
    size_t cases = 0;
    for (; Vector().Has("canonicalization." + std::to_string(cases) + ".name"); ++cases) {
        const std::string at = "canonicalization." + std::to_string(cases) + ".";
        SCOPED_TRACE(Vector()[at + "name"]);
        const std::string body = RelaxedBody(Vector()[at + "body"]);
        EXPECT_EQ(body, Vector()[at + "relaxed_body"]);
        EXPECT_EQ(base::Base64Encode(crypto::Sha256(body)), Vector()[at + "relaxed_body_hash_b64"]);
        for (size_t i = 0; Vector().Has(base::Cat(at, "headers.", i, ".0")); ++i) {
            EXPECT_EQ(
                RelaxedHeader(
                    Vector()[base::Cat(at, "headers.", i, ".0")],
                    Vector()[base::Cat(at, "headers.", i, ".1")]
                ),
                Vector()[base::Cat(at, "relaxed_headers.", i)]
            );
        }
    }
    EXPECT_EQ(cases, 5u);
}

TEST(Dkim, SignedMessagesAreThoseOfTheVectorByteForByte) {
    EXPECT_EQ(Signed(std::chrono::hours(168)), Vector()["signed.0.signed_message"]);
    EXPECT_EQ(Signed(base::Duration::zero()), Vector()["signed.1.signed_message"]);
    for (const std::string set : {"0", "1"}) {
        const std::string message = Vector()["signed." + set + ".signed_message"];
        for (const std::string signature : {"0", "1"}) {
            const auto header = Vector()["signed." + set + ".signatures." + signature + ".header"];
            EXPECT_NE(message.find(header), std::string::npos);
        }
    }
}

TEST(Dkim, MutationsFailOrPassAsTheVectorSays) {
    EXPECT_TRUE(Verifier(Signed(std::chrono::hours(168))).Verify("rsa"));
    EXPECT_TRUE(Verifier(Signed(std::chrono::hours(168))).Verify("ed25519"));
    size_t mutations = 0;
    for (const std::string list : {"must_fail", "must_pass"}) {
        for (size_t i = 0; Vector().Has(base::Cat(list, ".", i, ".raw")); ++i, ++mutations) {
            const Verifier verifier(Vector()[base::Cat(list, ".", i, ".raw")]);
            SCOPED_TRACE(Vector()[base::Cat(list, ".", i, ".name")]);
            EXPECT_EQ(verifier.Verify("rsa"), list == "must_pass");
            EXPECT_EQ(verifier.Verify("ed25519"), list == "must_pass");
        }
    }
    EXPECT_EQ(mutations, 8u);
}

TEST(Dkim, PresentFieldsAreListedAsOftenAsTheyOccur) {
    const auto key = Key("ed25519");
    const std::string message =
        "From: a@b.co\r\nTo: x\r\nTo: y\r\nReferences: <1@b>\r\nFeedback-ID: f\r\n"
        "X-OpenSend-ID: o\r\nList-Id: <l>\r\n\r\nbody";
    const std::string field = DkimSign(
        message,
        {
            {"b.co", "s", &key}
    },
        {}
    );
    EXPECT_NE(field.find(" h=from:from:to:to:to:cc:subject:"), std::string::npos) << field;
    std::string flat;
    std::copy_if(field.begin(), field.end(), std::back_inserter(flat), [](unsigned char c) {
        return std::isspace(c) == 0;
    });
    EXPECT_NE(flat.find(":content-type:references:list-id:feedback-id;bh="), std::string::npos);
    EXPECT_EQ(flat.find("x-opensend-id"), std::string::npos);
}

TEST(Dkim, LinesStayWithin76Characters) {
    const auto key = Key("rsa");
    const std::string domain = "a-rather-long-label-in-the-middle.of-another-one.example.com";
    const std::string field = DkimSign(
        "From: a@b.co\r\n\r\n",
        {
            {domain, "os1234567890", &key}
    },
        {}
    );
    for (const auto line : base::Split(field, '\n')) EXPECT_LE(line.size(), 77u) << line;
    EXPECT_EQ(DkimSign("From: a@b.co\r\n\r\n", {}, {}), "");
}

TEST(Dkim, BodiesOfEmptyLinesTakeLinearTime) {
    std::string lines;
    for (int i = 0; i < 500'000; ++i) lines += " \r\n";
    EXPECT_EQ(RelaxedBody(lines), "");
    EXPECT_EQ(RelaxedBody(lines + "x").size(), 1'000'003u);
}

}  // namespace
}  // namespace opensend::mime
