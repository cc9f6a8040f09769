#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "kernel/base/check.h"
#include "kernel/base/encoding.h"
#include "kernel/crypto/keyring.h"

namespace opensend::crypto {
namespace {

const Keyring& FuzzedRing() {
    static const Keyring kRing = [] {
        const base::Secret text("00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
        auto ring = Keyring::Make(text, {});
        return std::move(ring).value();
    }();
    return kRing;
}

/// Opens nothing but the one seed that was sealed for this place.
void OpenAny(std::string_view text) {
    constexpr std::string_view kSeedPlain = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const SealedPlace place{
        "webhooks", "signing_secret", "019b76da-a800-7000-8000-000000000001",
        "019b76da-a800-7000-8000-0000000000a1"};
    const auto opened = FuzzedRing().Open(place, text);
    if (opened.ok()) {
        OPENSEND_CHECK(opened.value().Reveal() == kSeedPlain, "nobody else can seal");
    } else {
        OPENSEND_CHECK(
            Keyring::KidOf(text).empty() == (opened.error() == "not an envelope"),
            "both agree on what an envelope is"
        );
    }
}

}  // namespace
}  // namespace opensend::crypto

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    opensend::crypto::OpenAny(bytes);
    opensend::crypto::OpenAny("ose1." + opensend::base::Base64UrlEncode(bytes));
    return 0;
}
