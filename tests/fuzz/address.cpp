#include "kernel/mime/address.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel/base/check.h"

/// What parses must parse again from its own spelling, to the same key.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using opensend::mime::ParseAddress;
    using opensend::mime::ParseMailbox;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto mailbox = ParseMailbox(text);
    if (!mailbox) return 0;
    const auto again = ParseAddress(mailbox->Address());
    OPENSEND_CHECK(again.ok(), "the address of a mailbox does not parse");
    OPENSEND_CHECK(again->Address() == mailbox->Address(), "the address changes when parsed again");
    const auto key = ParseAddress(mailbox->Key());
    OPENSEND_CHECK(key.ok() && key->Key() == mailbox->Key(), "the key of a key differs");
    const auto same = ParseMailbox(mailbox->text);
    OPENSEND_CHECK(same.ok() && same->display_name == mailbox->display_name, "the text differs");
    return 0;
}
