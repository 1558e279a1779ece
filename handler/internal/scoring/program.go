package scoring

import (
	"runtime/debug"
	"strings"
)

// Program numbers how the program works scores out, of the same rows with the same models. It
// is in every score and in the id of its decision: a score that another program made is
// another decision, and one that this program makes otherwise can be told from one of which
// the rows are not what they were. It is raised on purpose: a test compares scores of a
// models' file that does not change, and fails where they moved and the number did not. Scores
// that were stored before there were numbers are of program 0.
const Program = 5

// Build is the version of the program's module and the revision that it was built from, as far
// as the build says; "" where it does not. It names the source, which Program does not, and
// changes with every release, whether scores do or not.
func Build() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	var parts []string
	if v := info.Main.Version; v != "" && v != "(devel)" {
		parts = append(parts, v)
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			parts = append(parts, s.Value)
		}
	}
	return strings.Join(parts, " ")
}
