import sys; sys.path.insert(0,'/tmp/attackC')
from h import *
import h
from a1 import ok
full={'status':'ok','items':[{'id':1}],'user':{'name':'x'}}
def st_302(p,n,t,b): return resp('',status='302 Found',hdr=['Location: /x']) if n==50 else resp(full)
def c302(p,n,t,b): return resp('',status='302 Found',hdr=['Location: /login'])
def st_empty(p,n,t,b): return resp({} if n==50 else full)
def c_nothing(p,n,t,b): return resp({'error':'all gone'})
def st_html(p,n,t,b): return resp('<p>','text/html') if n==50 else resp(full)
def c_html(p,n,t,b): return resp('<h1>Bad','text/html')
async def leak():
    async with h.sem:
        s=await S(ok).start(); st=await S(ok).start()
        await cg(s.port,'headers: {Authorization: "Bearer env:TOK", X-Api-Key: "env:TOK"}\n'+T(duration='3s',baseline=f'http://localhost:{st.port}'),env={'TOK':'secret-token-123'})
        print('own headers at baseline:',sum('secret-token-123' in x for x in st.heads),'of',len(st.heads))
        s=await S(ok).start(); st=await S(ok).start()
        tok='eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4IiwiZXhwIjo0MDAwMDAwMDAwfQ.c2ln'
        r=await cg(s.port,T(duration='3s',baseline=f'http://localhost:{st.port}'),['--auth','always'],env={'CANARY_GATE_ID_TOKEN':tok})
        print('id token at canary',sum(tok in x for x in s.heads),'at baseline:',sum(tok in x for x in st.heads),'of',len(st.heads),r[0],r[2][:200],flush=True)
C={
 's302':lambda:case('stable 302 once, canary 302 always',1,c302,st_302,{}),
 'sempty':lambda:case('stable {} once, canary lost everything',1,c_nothing,st_empty,{}),
 'shtml':lambda:case('stable HTML once, canary HTML always',1,c_html,st_html,{}),
 'leak':leak,
}
if __name__=='__main__': main([C[k] for k in (sys.argv[1:] or C)],5)
