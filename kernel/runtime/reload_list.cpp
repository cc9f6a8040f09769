#include "kernel/runtime/reload_list.h"

#include <exception>

#include "kernel/base/text.h"

namespace opensend::runtime {

std::vector<std::string> ReloadList::Run(const Config& config) const {
    std::vector<std::string> problems;
    for (const auto& [name, apply] : entries_) {
        try {
            for (const std::string& problem : apply(config))
                problems.push_back(base::Cat(name, ": ", problem));
        } catch (const std::exception& error) {
            problems.push_back(base::Cat(name, ": ", error.what()));
        }
    }
    return problems;
}

}  // namespace opensend::runtime
