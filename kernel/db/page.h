#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kernel/base/check.h"
#include "kernel/db/session.h"

namespace opensend::db {

/// Which page of a list is wanted; cursors are values of the row's `id` field, at most one is set.
struct PageRequest {
    int limit = 20;
    std::optional<std::string> after;
    std::optional<std::string> before;

    /// How many rows the statement must ask for: one more tells whether there are more.
    int64_t fetch() const { return int64_t{limit} + 1; }
    /// The statement reads from the cursor against the order of the list.
    bool backwards() const { return before.has_value(); }
};

template <class T>
struct Page {
    std::vector<T> rows;    // in the order of the list
    bool has_more = false;  // in the direction of travel
};

/// Makes a page of what a statement returned for `request`: at most fetch() rows, starting next to
/// the cursor and going away from it.
template <class T>
Page<T> TrimPage(std::vector<T> rows, const PageRequest& request) {
    OPENSEND_CHECK(request.limit > 0, "a page has room for a row");
    OPENSEND_CHECK(!request.after || !request.before, "a page has one cursor");
    const auto limit = static_cast<size_t>(request.limit);
    Page<T> page;
    page.has_more = rows.size() > limit;
    while (rows.size() > limit) rows.pop_back();
    if (request.backwards()) std::reverse(rows.begin(), rows.end());
    page.rows = std::move(rows);
    return page;
}

/// Rows of a tenant's list by id: `older` is "… org_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
/// `newer` its mirror. Give them to TrimPage.
template <class Tenant>
Rows FetchPage(
    Session& session,
    const Query& older,
    const Query& newer,
    const Tenant& tenant,
    const PageRequest& request
) {
    if (request.backwards())
        return session.Execute(newer, {tenant, *request.before, request.fetch()});
    // "~" sorts after every id.
    return session.Execute(older, {tenant, request.after.value_or("~"), request.fetch()});
}

}  // namespace opensend::db
