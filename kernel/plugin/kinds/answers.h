#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <opensend/plugin.h>

#include "kernel/base/guarded.h"
#include "kernel/model/delivery_outcome.h"
#include "kernel/runtime/answer_rule.h"

namespace opensend::plugin {

/// The operator's rules by transport, in the order in which they are asked (SEND-21). Thread-safe;
/// new rules hold for the next answer.
class AnswerBoard {
public:
    using Rules = std::map<std::string, std::vector<runtime::AnswerRule>, std::less<>>;

    void Set(Rules rules);
    /// The class that the first fitting rule gives; otherwise `before`. What was taken, may have
    /// been taken or was not tried is not for rules to change.
    model::ResultClass Apply(
        const std::string& transport, const osp_rcpt_result& result, model::ResultClass before
    ) const;

private:
    base::Guarded<std::shared_ptr<const Rules>> rules_;
};

}  // namespace opensend::plugin
