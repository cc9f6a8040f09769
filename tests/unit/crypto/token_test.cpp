#include "kernel/crypto/token.h"

#include "kernel/base/text.h"
#include "tests/unit/crypto/vector_file.h"

namespace opensend::crypto {
namespace {

FindTokenKey Only(uint32_t kid, std::string bytes) {
    return [kid, bytes](uint32_t wanted) -> std::optional<std::string> {
        if (wanted != kid) return std::nullopt;
        return bytes;
    };
}

class TokenTest : public testing::Test {
protected:
    TokenTest()
        : vectors_(ReadVectors("tokens.json")),
          addresses_(vectors_.root().Find("address_token")),
          file_(vectors_.root().Find("file_token")) {}
    FindTokenKey KeyOf(json::Value entry) {
        return Only(static_cast<uint32_t>(entry.Find("kid").AsInt()), BytesOf(entry, "key_hex"));
    }
    std::string_view Refused(std::string_view name, std::string_view member) {
        const json::Value list = vectors_.root().Find("must_fail");
        for (size_t i = 0; i < list.size(); ++i) {
            if (TextOf(list.At(i), "name") == name) return TextOf(list.At(i), member);
        }
        ADD_FAILURE() << name;
        return {};
    }
    json::Document vectors_;
    json::Value addresses_, file_;
};

TEST_F(TokenTest, AddressTokensAreThoseOfTheVectors) {
    for (const auto& [name, purpose] :
         {std::pair("reply", AddressPurpose::kReply),
          std::pair("verp", AddressPurpose::kReturnPath)}) {
        const json::Value want = addresses_.Find(name);
        const std::string key = BytesOf(want, "key_hex");
        const RecipientRef recipient{
            *base::ParseUuid(TextOf(want, "email_id")),
            static_cast<uint16_t>(want.Find("recipient_ordinal").AsInt())};
        const std::string domain(TextOf(want, "domain"));
        EXPECT_EQ(MakeAddressToken(purpose, {1, key}, recipient, domain), TextOf(want, "token"));
        EXPECT_EQ(MakeTokenAddress(purpose, {1, key}, recipient, domain), TextOf(want, "address"));
        EXPECT_EQ(ReadTokenAddress(purpose, TextOf(want, "address"), KeyOf(want)), recipient);
        EXPECT_EQ(
            ReadTokenAddress(purpose, base::AsciiUpper(TextOf(want, "address")), KeyOf(want)),
            recipient
        );
    }
}

TEST_F(TokenTest, AddressTokensOfAnotherPurposeDomainOrKeyAreRefused) {
    const auto find = KeyOf(addresses_.Find("reply"));
    for (const char* name :
         {"reply token at another domain", "reply token with one character changed",
          "VERP token offered as reply token"}) {
        EXPECT_FALSE(ReadTokenAddress(AddressPurpose::kReply, Refused(name, "address"), find))
            << name;
    }
    const std::string good(TextOf(addresses_.Find("reply"), "address"));
    EXPECT_TRUE(ReadTokenAddress(AddressPurpose::kReply, good, find));
    EXPECT_FALSE(ReadTokenAddress(AddressPurpose::kReturnPath, good, find));
    EXPECT_FALSE(ReadTokenAddress(AddressPurpose::kReply, good, Only(2, "other")));
    for (const char* bad :
         {"", "@", "reply+@example.com", "reply+", "b@x", "reply+a@example.com"}) {
        EXPECT_FALSE(ReadTokenAddress(AddressPurpose::kReply, bad, find)) << bad;
    }
}

TEST_F(TokenTest, TheLargestOrdinalComesBack) {
    const std::string key(32, 'k');
    const RecipientRef recipient{*base::ParseUuid("019b76da-a801-7000-8000-0000000000e1"), 65535};
    const auto address =
        MakeTokenAddress(AddressPurpose::kReturnPath, {255, key}, recipient, "a.example");
    EXPECT_EQ(ReadTokenAddress(AddressPurpose::kReturnPath, address, Only(255, key)), recipient);
}

TEST_F(TokenTest, FileTokensAreThoseOfTheVectors) {
    const std::string key = BytesOf(file_, "key_hex");
    FileRef file;
    file.org = *base::ParseUuid(TextOf(file_, "org_id"));
    file.object = *base::ParseUuid(TextOf(file_, "object_id"));
    file.expires = file_.Find("expires").AsInt();
    file.name = std::string(TextOf(file_, "file_name"));
    EXPECT_EQ(MakeFileToken({1, key}, file), TextOf(file_, "token"));
    const auto read = ReadFileToken(TextOf(file_, "token"), KeyOf(file_));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->kind, FileKind::kSentAttachment);
    EXPECT_EQ(read->org, file.org);
    EXPECT_EQ(read->object, file.object);
    EXPECT_EQ(read->expires, file.expires);
    EXPECT_EQ(read->name, "receipt.pdf");
}

TEST_F(TokenTest, EveryChangedCharacterOfAFileTokenIsRefused) {
    const std::string token(TextOf(file_, "token"));
    for (size_t i = 0; i < token.size(); ++i) {
        std::string changed = token;
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        EXPECT_FALSE(ReadFileToken(changed, KeyOf(file_))) << i;
        EXPECT_FALSE(ReadFileToken(token.substr(0, i), KeyOf(file_))) << i;
    }
    EXPECT_FALSE(ReadFileToken(token + "=", KeyOf(file_)));
    EXPECT_FALSE(ReadFileToken(token + "A", KeyOf(file_)));
    const std::string_view later =
        Refused("file token with a later expiry and the old MAC (404)", "url");
    EXPECT_FALSE(ReadFileToken(later.substr(7), KeyOf(file_)));
}

}  // namespace
}  // namespace opensend::crypto
