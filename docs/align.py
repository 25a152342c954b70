"""fer2013.csv -> aligned.csv: each face turned upright, scaled and moved to the mean shape by its landmarks."""
import sys; from pathlib import Path
import cv2, numpy as np
from forensic_emotion.training import data as D
src, out = Path('fer2013.csv'), Path('aligned.csv')
p = D.read(src)
n=len(p); L=p.landmarks.astype(np.float64)*48
use = list(range(17,68))
ok=p.detected.copy()
def umeyama(a,b):
    ma,mb=a.mean(0),b.mean(0); A=a-ma;B=b-mb
    U,S,Vt=np.linalg.svd(B.T@A); d=np.sign(np.linalg.det(U@Vt)); Dm=np.diag([1,d])
    R=U@Dm@Vt; s=(S*[1,d]).sum()/(A**2).sum(); t=mb-s*R@ma
    return s,R,t
tr=(p.usage=='Training')&ok
mean=np.median(L[tr],0)
# symmetric mean
from forensic_emotion.training import augment
perm=None
for name in dir(augment):
    v=getattr(augment,name)
    if isinstance(v,np.ndarray) and v.shape==(68,): perm=v; print('perm',name)
if perm is not None:
    m=mean.copy(); m[:,0]=48-m[:,0]; mean=(mean+m[perm])/2
for _ in range(3):
    acc=[]
    for i in np.flatnonzero(tr)[::10]:
        s,R,t=umeyama(L[i][use],mean[use]); acc.append(s*L[i]@R.T+t)
    m=np.mean(acc,0)
    s,R,t=umeyama(m[use],mean[use]); mean=s*m@R.T+t
grey=p.grey.copy(); land=p.landmarks.copy(); done=np.zeros(n,bool); sc=[];ro=[]
for i in range(n):
    s,R,t=umeyama(L[i][use],mean[use]); r=np.degrees(np.arctan2(R[1,0],R[0,0]))
    if not ok[i] and (abs(r)>25 or not .8<s<1.25): continue   # not sure of these landmarks
    s=float(np.clip(s,.6,1.8))
    M=np.hstack([s*R,(mean[use].mean(0)-s*R@L[i][use].mean(0))[:,None]])
    # pixel centres
    M2=M.copy(); M2[:,2]+= M[:,:2]@[.5,.5]-.5
    grey[i]=cv2.warpAffine(p.grey[i],M2,(48,48),flags=cv2.INTER_CUBIC,borderMode=cv2.BORDER_REPLICATE)
    land[i]=((L[i]@M[:,:2].T+M[:,2])/48).astype(np.float32); done[i]=True; sc.append(s); ro.append(r)
print('aligned',done.mean(),'of',n,'detected',ok.mean(),'scale pct',np.percentile(sc,[1,10,50,90,99]),'rot',np.percentile(ro,[1,10,50,90,99]))
import csv
from forensic_emotion.training.sources import read_labelled
with out.open('w') as f:
    f.write('emotion,pixels,Usage\n')
    for i in range(n):
        f.write(f"{int(p.labels[i])},{' '.join(map(str,grey[i].ravel()))},{p.usage[i]}\n")
sha=read_labelled(out).sha256
cache=D.cache_folder()/f"landmarks-{sha[:16]}-{D.LANDMARK_METHOD}.npz"
D._keep_landmarks(cache,land,p.detected)
tiles=[np.hstack([p.grey[i],grey[i]]) for i in range(0,6000,50)]
cv2.imwrite('align.png',cv2.resize(np.vstack([np.hstack(tiles[k:k+12]) for k in range(0,120,12)]),None,fx=1.5,fy=1.5))
