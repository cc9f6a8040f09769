#include "kernel/plugin/scan/scan.h"

// Stands in for the server where a test has a file loaded for the first time.
int main() { opensend::plugin::ScanMain(); }
