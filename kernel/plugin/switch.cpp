#include "kernel/plugin/switch.h"

#include <vector>

#include "kernel/base/guarded.h"

namespace opensend::plugin {

void KeepForGood(std::shared_ptr<void> object) {
    static auto* const kept = new base::Guarded<std::vector<std::shared_ptr<void>>>;
    kept->With([&](auto& list) { list.push_back(std::move(object)); });
}

}  // namespace opensend::plugin
