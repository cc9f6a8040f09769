#pragma once

#include <string>
#include <string_view>

#include "kernel/api/call.h"
#include "kernel/db/page.h"
#include "kernel/json/writer.h"

namespace opensend::api {

/// limit, after and before of a list whose cursors are UUIDs (REST 1.10). `default_limit` is 100
/// for the collections that older clients cannot page, and then only when no parameter is given.
/// Throws 422.
db::PageRequest ReadPage(const Call& call, int default_limit = 20);

/// {"object":"list","has_more":…,"data":[…]}; `write(writer, row)` writes one item.
template <class T, class WriteItem>
http::Response ListAnswer(const db::Page<T>& page, WriteItem write) {
    json::Writer out;
    out.BeginObject().Field("object", "list").Field("has_more", page.has_more);
    out.Key("data").BeginArray();
    for (const T& row : page.rows) write(out, row);
    out.EndArray().EndObject();
    return Json(200, out.Take());
}

}  // namespace opensend::api
