package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/pierhead/pierhead/e2e/launch"
)

// refresh is how often the files of Secrets, ConfigMaps and tokens are looked at.
const refresh = 5 * time.Second

// volume is the folder of one of the Pod's volumes.
func (p *pod) volume(name string) string { return filepath.Join(p.dir, "volumes", name) }

// fillVolumes makes all volumes of the Pod.
func (p *pod) fillVolumes() error {
	for _, v := range p.spec().Spec.Volumes {
		if err := p.fill(v); err != nil {
			return fmt.Errorf("volume %q: %w", v.Name, err)
		}
	}
	return nil
}

// refreshVolumes keeps the files up to date until the Pod ends. A source that cannot be
// read leaves the files as they are.
func (p *pod) refreshVolumes() {
	for p.sleep(refresh) {
		if err := p.fillVolumes(); err != nil && p.ctx.Err() == nil {
			p.log.Debug("refresh", "error", err)
		}
	}
}

// fill makes one volume, or brings its files up to date.
func (p *pod) fill(v corev1.Volume) error {
	dir := p.volume(v.Name)
	switch {
	case v.EmptyDir != nil:
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
		return errors.Join(os.Chmod(dir, 0o777), os.Chown(dir, -1, p.group()))
	case v.HostPath != nil:
		if t := v.HostPath.Type; t != nil && *t == corev1.HostPathDirectoryOrCreate {
			return os.MkdirAll(v.HostPath.Path, 0o755)
		}
		_, err := os.Stat(v.HostPath.Path)
		return err
	}
	set := fileSet{}
	if err := p.collect(set, v); err != nil {
		return err
	}
	return set.write(dir, p.group())
}

// group returns the group that the Pod's volumes belong to; -1 for no other than root's.
func (p *pod) group() int {
	if c := p.spec().Spec.SecurityContext; c != nil && c.FSGroup != nil {
		return int(*c.FSGroup)
	}
	return -1
}

// collect gathers the files of a volume that is made of API objects.
func (p *pod) collect(set fileSet, v corev1.Volume) error {
	switch {
	case v.Secret != nil:
		data, err := p.secret(v.Secret.SecretName)
		return set.add(data, err, v.Secret.Items, v.Secret.DefaultMode, v.Secret.Optional)
	case v.ConfigMap != nil:
		data, err := p.configMap(v.ConfigMap.Name)
		return set.add(data, err, v.ConfigMap.Items, v.ConfigMap.DefaultMode, v.ConfigMap.Optional)
	case v.DownwardAPI != nil:
		return p.downward(set, v.DownwardAPI.Items, v.DownwardAPI.DefaultMode)
	case v.Projected == nil:
		return fmt.Errorf("a kind that is not known here: must be secret, configMap, downwardAPI, projected, emptyDir or hostPath")
	}
	for _, s := range v.Projected.Sources {
		var err error
		switch mode := v.Projected.DefaultMode; {
		case s.Secret != nil:
			var data map[string][]byte
			data, err = p.secret(s.Secret.Name)
			err = set.add(data, err, s.Secret.Items, mode, s.Secret.Optional)
		case s.ConfigMap != nil:
			var data map[string][]byte
			data, err = p.configMap(s.ConfigMap.Name)
			err = set.add(data, err, s.ConfigMap.Items, mode, s.ConfigMap.Optional)
		case s.DownwardAPI != nil:
			err = p.downward(set, s.DownwardAPI.Items, mode)
		case s.ServiceAccountToken != nil:
			var token []byte
			token, err = p.token(filepath.Join(p.volume(v.Name), s.ServiceAccountToken.Path), s.ServiceAccountToken)
			set[s.ServiceAccountToken.Path] = file{token, mode}
		default:
			err = fmt.Errorf("projected source: a kind that is not known here")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *pod) downward(set fileSet, items []corev1.DownwardAPIVolumeFile, mode *int32) error {
	for _, i := range items {
		if i.FieldRef == nil {
			return fmt.Errorf("downwardAPI item %q: must have a fieldRef", i.Path)
		}
		text, err := p.field(i.FieldRef.FieldPath)
		if err != nil {
			return err
		}
		set[i.Path] = file{[]byte(text), mode}
	}
	return nil
}

// add puts the keys of an object into the set: all of them, or those that are listed.
func (set fileSet) add(data map[string][]byte, err error, items []corev1.KeyToPath, mode *int32, optional *bool) error {
	may := optional != nil && *optional
	if apierrors.IsNotFound(err) && may {
		return nil
	}
	if err != nil {
		return err
	}
	if len(items) == 0 {
		for key, content := range data {
			set[key] = file{content, mode}
		}
		return nil
	}
	for _, i := range items {
		content, ok := data[i.Key]
		if !ok && !may {
			return fmt.Errorf("key %q: not there", i.Key)
		}
		if i.Mode != nil {
			mode = i.Mode
		}
		set[i.Path] = file{content, mode}
	}
	return nil
}

// mount says what a container sees at the path of one of its volume mounts.
func (p *pod) mount(m corev1.VolumeMount, env *environment) (launch.Mount, error) {
	out := launch.Mount{Target: m.MountPath, ReadOnly: m.ReadOnly}
	for _, v := range p.spec().Spec.Volumes {
		if v.Name != m.Name {
			continue
		}
		out.Source = p.volume(v.Name)
		if v.HostPath != nil {
			out.Source = v.HostPath.Path
		}
		sub := m.SubPath
		if m.SubPathExpr != "" {
			sub = env.expand(m.SubPathExpr)
		}
		if sub != "" {
			if !filepath.IsLocal(sub) {
				return out, fmt.Errorf("subPath %q: must lie in the volume", sub)
			}
			out.Source = filepath.Join(out.Source, sub)
			if _, err := os.Stat(out.Source); os.IsNotExist(err) && v.EmptyDir != nil {
				if err := os.MkdirAll(out.Source, 0o777); err != nil {
					return out, err
				}
			}
			resolved, err := filepath.EvalSymlinks(out.Source)
			if err != nil {
				return out, err
			}
			out.Source = resolved
		}
		return out, nil
	}
	return out, fmt.Errorf("volumeMount %q: must name a volume of the Pod", m.Name)
}
