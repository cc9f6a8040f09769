#pragma once

#include <string>

#include "kernel/api/call.h"
#include "kernel/json/reader.h"
#include "kernel/json/writer.h"
#include "kernel/resources/suppressions/suppression_store.h"

namespace opensend::suppressions {

/// The filters of a list or export. Throws 422.
SuppressionFilter ReadFilter(const api::Call& call);
/// Address, reason and note of a new entry by hand; without id and time.
Suppression ReadSuppression(json::ObjectReader& in);
/// Fills key and text of the entry; a problem at `path` when it is no bare address.
void ReadAddress(
    const json::Value& value, std::string_view path, json::Problems& problems, Suppression& entry
);
void WriteSuppression(json::Writer& out, const Suppression& suppression);

}  // namespace opensend::suppressions
