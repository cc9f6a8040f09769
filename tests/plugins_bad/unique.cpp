#include <opensend/plugin.h>

// An inline variable that everybody sees: one for the whole process, and its file stays mapped.
template <class T>
struct OSP_EXPORT Shared {
    static inline int value = 0;
};
extern "C" OSP_EXPORT int* osp_plugin_v98() { return &Shared<int>::value; }
