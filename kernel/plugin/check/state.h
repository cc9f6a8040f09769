#pragma once

#include <string>

namespace opensend::plugin_check {

/// What a plugin must leave alone in the process, as text that can be compared and shown.
std::string SignalsNow();
std::string LocaleNow();
std::string UmaskNow();
std::string FolderNow();
std::string EnvironmentNow();
std::string LimitsNow();
std::string ThreadsNow();
std::string FilesNow();
std::string FloatNow();

/// Resident memory in KiB.
long ResidentKb();
/// Bytes handed out by malloc.
size_t HeapBytes();

}  // namespace opensend::plugin_check
