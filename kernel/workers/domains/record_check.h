#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "kernel/dns/answer_cache.h"
#include "kernel/resources/domains/domain_status.h"

namespace opensend::domain_checks {

using domains::Finding;

/// Which question a record of the plan is answered by.
dns::RecordType QuestionOf(const domains::DnsRecord& wanted);

/// What DNS says about a record of the plan (DOM-10).
domains::Observation Judge(const domains::DnsRecord& wanted, const dns::Answers& answers);

/// What a TXT answer says; also about a claim's proof, which must stand there alone or beside
/// others. Texts are those of one name, strings joined.
Finding JudgeTexts(
    std::string_view record, const std::string& wanted, const std::vector<std::string>& texts
);

}  // namespace opensend::domain_checks
