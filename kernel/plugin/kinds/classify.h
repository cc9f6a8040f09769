#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <opensend/plugin.h>

#include "kernel/model/delivery_outcome.h"
#include "kernel/plugin/kinds/answers.h"

namespace opensend::plugin {

/// The class of what a plugin said about one recipient: its own when it names one, otherwise the
/// first row of the table that fits outcome, stage, code, enhanced code and text.
model::ResultClass Classify(const osp_rcpt_result& result);

/// The class when there is a status instead of a result.
model::ResultClass ClassOfStatus(osp_status status);

/// One result as the kernel keeps it: texts cut and escaped, class found. `final_host`: what is
/// accepted is in the recipient's own mail system. `answers` may say otherwise than the table about
/// an answer of `transport`; null: nothing does.
model::DeliveryOutcome ToOutcome(
    const osp_rcpt_result& result,
    bool final_host,
    const AnswerBoard* answers = nullptr,
    const std::string& transport = {}
);

/// At most `max` octets; what is no printable UTF-8 becomes \xNN. Line ends stay with `lines`.
std::string Printable(std::string_view text, size_t max, bool lines = false);

}  // namespace opensend::plugin
