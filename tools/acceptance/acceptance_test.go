package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestMissingNamesWhatIsNotListed(t *testing.T) {
	list := listed([]byte("TestA\nTestC_D\nok  \ttaffrail/log\t0.002s\n?   \ttaffrail/cmd\t[no test files]\n"))
	if want := []string{"TestA", "TestC_D"}; !slices.Equal(list, want) {
		t.Errorf("listed %q, want %q", list, want)
	}
	got := missing([]string{"TestA", "TestC", "TestC_D"}, list)
	if want := []string{"missing: TestC"}; !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
	}
}

func TestVerdictsCountOnlyAWholePass(t *testing.T) {
	const events = `
{"Action":"run","Package":"p","Test":"TestPass"}
{"Action":"pass","Package":"p","Test":"TestPass"}
{"Action":"skip","Package":"p","Test":"TestSkip"}
{"Action":"skip","Package":"p","Test":"TestPart/one"}
{"Action":"pass","Package":"p","Test":"TestPart"}
{"Action":"fail","Package":"p","Test":"TestTwice"}
{"Action":"pass","Package":"q","Test":"TestTwice"}
{"Action":"run","Package":"p","Test":"TestHangs"}
# compiler output may stand between
{"Action":"fail","Package":"p"}`
	got, err := verdicts([]string{"TestPass", "TestSkip", "TestPart", "TestTwice", "TestHangs", "TestAbsent"}, strings.NewReader(events))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"skip: TestSkip", "skip: TestPart", "fail: TestTwice", "did not run: TestHangs", "did not run: TestAbsent"}
	if !slices.Equal(got, want) {
		t.Errorf("found %q\nwant  %q", got, want)
	}
	if _, err := verdicts(nil, strings.NewReader(`{"Action":`)); err == nil {
		t.Error("half an event was taken")
	}
}

// The names are put into a regular expression, and one that stands twice or is
// misspelt would be looked for in vain.
func TestRequiredNamesArePlain(t *testing.T) {
	names := required()
	if len(names) == 0 {
		t.Fatal("no test is required")
	}
	plain := regexp.MustCompile(`^Test[A-Z][A-Za-z0-9_]*$`)
	for i, name := range names {
		if !plain.MatchString(name) || slices.Contains(names[:i], name) {
			t.Errorf("%q is not a plain name, or stands twice", name)
		}
	}
}
