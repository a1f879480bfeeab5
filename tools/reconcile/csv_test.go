package reconcile

import (
	"maps"
	"strings"
	"testing"
)

const csvHead = "index,timestamp_ms,name,labels,type,value,session_id,dedup_key\n"

func TestReadCSVTakesWhatCanBeSent(t *testing.T) {
	owner := Owner{DeviceID: "d", Tags: map[string]string{"site": "north"}}
	p, problems, err := ReadCSV(strings.NewReader(csvHead+
		`2,1000,cpu.usage-%,"{""core.id"":""0"",""none"":""""}",gauge,1.5,s,k`+"\n"+
		`2,1000,os,{},text,"a ""b"", c",s,k`+"\n"+
		`3,2000,cpu.usage-%,"{""core.id"":""0"",""none"":""""}",gauge,NaN,s,k`+"\n"+
		`4,3000,cpu.usage-%,"{""core.id"":""0"",""none"":""""}",counter,1e300,s,k`+"\n"), owner)
	if err != nil || len(problems) > 0 {
		t.Fatalf("%v, problems %q", err, problems)
	}
	const labels = `{"__name__":"cpu_usage__","core_id_56d8a5aa":"0","device_id":"d","empty_labels":"none","site":"north"}`
	if len(p) != 1 || !maps.Equal(p[labels], map[int64]float64{1000: 1.5, 3000: 1e300}) {
		t.Errorf("points are %v", p)
	}
}

func TestReadCSVNotesWhatIsThereTwice(t *testing.T) {
	line := "2,1000,a,{},gauge,1,s,k\n"
	_, problems, err := ReadCSV(strings.NewReader(csvHead+line+line), Owner{DeviceID: "d"})
	if err != nil || len(problems) != 1 {
		t.Errorf("%v, problems %q", err, problems)
	}
}

func TestReadCSVRefusesWhatIsNoExport(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":          "",
		"another head":     "a,b,c,d,e,f,g,h\n",
		"a column less":    csvHead + "2,1000,a,{},gauge,1,s\n",
		"no time":          csvHead + "2,soon,a,{},gauge,1,s,k\n",
		"no number":        csvHead + "2,1000,a,{},gauge,much,s,k\n",
		"no labels":        csvHead + "2,1000,a,none,gauge,1,s,k\n",
		"clash of labels":  csvHead + `2,1000,a,"{""device_id"":""x""}",gauge,1,s,k` + "\n",
		"a line cut short": csvHead + `2,1000,"a`,
	} {
		if p, _, err := ReadCSV(strings.NewReader(text), Owner{DeviceID: "d"}); err == nil {
			t.Errorf("%s: got %v and no error", name, p)
		}
	}
}
