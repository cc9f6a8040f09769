#include "kernel/api/query.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "kernel/api/paging.h"
#include "kernel/base/check.h"
#include "kernel/http/uri.h"

namespace opensend::api {
namespace {

void CheckPage(const db::PageRequest& page) {
    OPENSEND_CHECK(page.limit >= 1 && page.limit <= 100, "1 to 100 rows");
    OPENSEND_CHECK(!page.after || !page.before, "one direction");
    for (const auto& cursor : {page.after, page.before}) {
        if (!cursor) continue;
        const auto id = base::ParseUuid(*cursor);
        OPENSEND_CHECK(id && id->ToString() == *cursor, "a cursor is an id in its only form");
    }
}

/// Runs `read`; a refusal is as good as a value.
template <class Read>
void Refusable(Read read) {
    try {
        read();
    } catch (const base::Error&) {
    }
}

}  // namespace
}  // namespace opensend::api

/// The query of a list: cursors, limit, times, ids and the pattern of a tag.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace opensend;
    const auto parsed = http::ParseQuery({reinterpret_cast<const char*>(data), size});
    if (!parsed) return 0;
    api::Call call;
    for (const auto& [name, value] : parsed->all()) call.query.emplace(name, value);
    api::Refusable([&] { api::CheckPage(api::ReadPage(call)); });
    api::Refusable([&] { api::CheckPage(api::ReadPage(call, 100)); });
    for (const auto& [name, value] : call.query) {
        api::Refusable([&, &name = name] { (void)api::QueryId(call, name); });
        for (const bool upper : {false, true}) {
            api::Refusable([&, &name = name] { (void)api::QueryTime(call, name, upper); });
        }
        const auto text = api::QueryText(call, name);
        OPENSEND_CHECK(text.has_value() != value.empty(), "an empty parameter is absent");
        const std::string pattern = api::TagPattern(name, text);
        OPENSEND_CHECK(pattern.find('\0') == std::string::npos, "a pattern is text");
    }
    return 0;
}
