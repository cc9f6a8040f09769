#include "kernel/crypto/password.h"

#include "tests/unit/crypto/vector_file.h"

namespace opensend::crypto {
namespace {

base::Secret Text(std::string_view text) { return base::Secret(std::string(text)); }

TEST(Password, VerifiesBothFormsOfTheVectors) {
    const auto document = ReadVectors("auth.json");
    const json::Value password = document.root().Find("password");
    const auto text = Text(TextOf(password, "text"));
    for (const char* form : {"argon2id", "scrypt"}) {
        const std::string phc(TextOf(password.Find(form), "phc"));
        EXPECT_TRUE(VerifyPassword(text, phc)) << form;
        EXPECT_FALSE(VerifyPassword(Text("correct horse battery stapl"), phc)) << form;
        EXPECT_EQ(IsOutdatedHash(phc), std::string(form) == "scrypt");
    }
}

TEST(Password, HashesWithASaltOfItsOwn) {
    const auto text = Text("a passphrase with ümlauts");
    const std::string one = HashPassword(text);
    EXPECT_EQ(one.rfind("$argon2id$v=19$m=19456,t=2,p=1$", 0), 0u) << one;
    EXPECT_NE(one, HashPassword(text));
    EXPECT_TRUE(VerifyPassword(text, one));
    EXPECT_FALSE(IsOutdatedHash(one));
}

TEST(Password, RefusesWhatIsNoHashAndWhatCostsTooMuch) {
    const auto text = Text("x");
    for (const char* phc :
         {"", "x", "$argon2id$", "$argon2i$v=19$m=19456,t=2,p=1$AAAA$AAAA",
          "$argon2id$v=19$m=99999999,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$"
          "gy5SuVm5Z7Vw7keB9se9p87QGcomaseB",
          "$argon2id$v=19$m=19456,t=9999,p=1$MDEyMzQ1Njc4OWFiY2RlZg$"
          "gy5SuVm5Z7Vw7keB9se9p87QGcomaseB",
          "$scrypt$ln=30,r=8,p=3$AAECAwQFBgcICQoLDA0ODw$ZwXboEbK", "$scrypt$ln=15,r=8,p=3$!!$!!",
          "$scrypt$ln=,r=,p=$$"}) {
        EXPECT_FALSE(VerifyPassword(text, phc)) << phc;
    }
    EXPECT_FALSE(VerifyPassword(Text(std::string(5'000, 'a')), HashPassword(text)));
    EXPECT_TRUE(IsOutdatedHash("$argon2id$v=19$m=8,t=1,p=1$MDEyMzQ1Njc4OWFiY2RlZg$gy5SuVm5Z7Vw"));
}

}  // namespace
}  // namespace opensend::crypto
