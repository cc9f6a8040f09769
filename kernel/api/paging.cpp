#include "kernel/api/paging.h"

#include "kernel/base/text.h"

namespace opensend::api {
namespace {

std::optional<std::string> ReadCursor(const Call& call, std::string_view name) {
    const auto found = call.query.find(name);
    if (found == call.query.end()) return std::nullopt;
    const auto id = base::ParseUuid(found->second);
    if (!id) throw Call::BadParameter(name, "must be the id of a row");
    return id->ToString();
}

}  // namespace

db::PageRequest ReadPage(const Call& call, int default_limit) {
    db::PageRequest page;
    page.after = ReadCursor(call, "after");
    page.before = ReadCursor(call, "before");
    if (page.after && page.before) {
        throw Call::BadParameter("after", "cannot be combined with before");
    }
    const auto limit = call.query.find("limit");
    if (limit == call.query.end()) {
        page.limit = page.after || page.before ? 20 : default_limit;
        return page;
    }
    const auto number = base::ParseInt(limit->second);
    if (!number || *number < 1 || *number > 100) {
        throw base::Invalid("limit", "must be a whole number from 1 to 100.", "out_of_range");
    }
    page.limit = static_cast<int>(*number);
    return page;
}

}  // namespace opensend::api
